//! Rows of activations of one member times weights that are numbers of bfloat16 already: all members copy these, too, ahead of their products, so that sums of all
//! columns stay in registers.

use super::{
    layout::{ring, stage_columns},
    tile::{AHEAD, BlockTile, TYPES, of_stage},
    weights::Copies,
};
use crate::kernel::{Func, Module, Team, Ty};

/// Adds the kernel, which all members of a block call together; returns its name. Its weights have the fewest columns.
///
/// `fn(x, ldx, y, ldy, k, accumulate, rows, tokens, barrier, tid, threads, w, row_bytes)` computes what [`super::tile::block_tile`] does from `rows` rows
/// of weights from `w` on, which begin at multiples of 16 bytes; `k` is a multiple of eight. A member without tokens takes part.
pub(crate) fn stream_tile(module: &mut Module, tile: BlockTile) -> String {
    let name = format!("seqc_block_stream_{}", tile.name());
    if module.has(&name) {
        return name;
    }
    let types = [&TYPES[..], &[Ty::GLOBAL, Ty::I64]].concat();
    let mut f = Func::new(&name, &types, None);
    body(&tile, &mut f);
    module.add(f);
    name
}

fn body(tile: &BlockTile, f: &mut Func) {
    let [k, accumulate, rows, barrier, tid, threads] = [4, 5, 6, 8, 9, 10].map(|n| f.param(n));
    let team = Team { tid, threads };
    let memory = f.block_memory(barrier, team);
    let (own, ring) = (f.block_member(team), ring(f, memory, tid));
    let shared = tile.weights;
    let weights = Copies::new(shared, [f.param(11), f.param(12)], [rows, k], memory, own);
    let copies = tile.copies(f);
    // Stages of activations for one of weights.
    let each = shared.columns / stage_columns(tile.form);
    let columns = f.i64(shared.columns as i64);
    let steps = f.ceil_div(k, columns);
    let per_step = f.i64(each as i64);
    let stages = f.mul(steps, per_step);
    let weights_ahead = shared.slots() - 1;
    // What the block multiplied before is done with.
    f.block_barrier(barrier, team);
    for n in 0..weights_ahead {
        let n = f.i64(n as i64);
        weights.start(f, n, steps);
    }
    for n in 0..AHEAD {
        let n = f.i64(n as i64);
        tile.start(f, &copies, ring, [n, stages]);
    }
    let init = tile.first(f, accumulate);
    let (zero, one) = (f.i64(0), f.i64(1));
    let sums = f.for_loop(zero..steps, one, &init, |f, n, sums| {
        let first = f.mul(n, per_step);
        let here = weights.of_step(f, n);
        let mut sums = sums.to_vec();
        for stage in 0..each {
            let at = f.i64(stage as i64);
            let at = f.add(first, at);
            f.wait_copies(AHEAD as u8 - 1);
            if stage == 0 {
                // The weights of this step are of a group before that of its first activations, and those of the last step are done with.
                f.block_barrier(barrier, team);
                let later = f.i64(weights_ahead as i64);
                let later = f.add(n, later);
                weights.start(f, later, steps);
            }
            let later = f.i64(AHEAD as i64);
            let later = f.add(at, later);
            tile.start(f, &copies, ring, [later, stages]);
            let activations = of_stage(f, ring, at);
            for within in 0..tile.steps() {
                let step = f.i64((stage * tile.steps() + within) as i64);
                let activations = tile.activations(f, activations, within);
                tile.step(f, [here, step], &activations, &mut sums);
            }
        }
        sums
    });
    tile.store(f, &sums);
}
