//! A driver in place of NVIDIA's, for machines without a GPU: memory is that of the process, and a kernel is the function of the same name in the shared
//! library that `SEQC_DEVICE_CODE` names, which `seqc` makes of the same model for fibers (`--target cuda-emulated`). Each member of the team
//! is a thread. Tests compile this file as `libcuda.so.1`.

#[path = "../../backends/runtime/src/warp.rs"]
mod warp;

use std::{
    env,
    ffi::{CStr, CString, c_char, c_int, c_uint, c_void},
    fs, ptr,
    sync::{
        Barrier, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

const SUCCESS: c_int = 0;
const OUT_OF_MEMORY: c_int = 2;
const INVALID_IMAGE: c_int = 200;
const NOT_FOUND: c_int = 500;

/// Parameters begin where memory does, as on a device.
pub(crate) const DEVICE_MEMORY: bool = true;

/// Threads of a member.
const MEMBER: u32 = 32;
/// Bytes of shared memory that blocks of the fibers have.
const SHARED: c_int = 96 << 10;
/// What memory begins on, and what stands before it: its length.
const LINE: usize = 64;

unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn aligned_alloc(alignment: usize, bytes: usize) -> *mut u8;
    fn free(start: *mut u8);
}

const RTLD_NOW: c_int = 2;
const RTLD_GLOBAL: c_int = 0x100;

/// What members of the kernel that runs meet at.
static MEETING: RwLock<Option<Barrier>> = RwLock::new(None);

/// Writes how many kernels were started into the file that `SEQC_LAUNCHES` names.
fn count() {
    static LAUNCHES: AtomicUsize = AtomicUsize::new(0);
    let number = LAUNCHES.fetch_add(1, Ordering::Relaxed) + 1;
    if let Ok(path) = env::var("SEQC_LAUNCHES") {
        fs::write(path, number.to_string()).expect("written");
    }
}

/// What the fibers of a member call.
unsafe extern "C" fn seqc_barrier(_counter: *mut u8, _tid: i64, _threads: i64) {
    let meeting = MEETING.read().expect("no member failed");
    meeting.as_ref().expect("a kernel runs").wait();
}

#[unsafe(no_mangle)]
extern "C" fn cuInit(_flags: c_uint) -> c_int {
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> c_int {
    unsafe { *count = 1 };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGet(device: *mut c_int, number: c_int) -> c_int {
    unsafe { *device = number };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, length: c_int, _device: c_int) -> c_int {
    let text = c"threads of this machine";
    assert!(length as usize > text.count_bytes());
    unsafe { ptr::copy_nonoverlapping(text.as_ptr(), name, text.count_bytes() + 1) };
    SUCCESS
}

/// Compute capability 8.0, one multiprocessor, and everything else that is asked for.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetAttribute(value: *mut c_int, attribute: c_int, _device: c_int) -> c_int {
    const MAJOR: c_int = 75;
    const MINOR: c_int = 76;
    let found = match attribute {
        MAJOR => 8,
        MINOR => 0,
        _ => 1,
    };
    unsafe { *value = found };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDevicePrimaryCtxRetain(context: *mut *mut c_void, _device: c_int) -> c_int {
    unsafe { *context = ptr::dangling_mut::<u64>().cast() };
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetCurrent(_context: *mut c_void) -> c_int {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSynchronize() -> c_int {
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAllocManaged(start: *mut *mut u8, bytes: usize, _flags: c_uint) -> c_int {
    let found = unsafe { aligned_alloc(LINE, bytes.next_multiple_of(LINE)) };
    unsafe { *start = found };
    if found.is_null() { OUT_OF_MEMORY } else { SUCCESS }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemFree_v2(start: *mut u8) -> c_int {
    unsafe { free(start) };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemsetD8_v2(start: *mut u8, value: u8, bytes: usize) -> c_int {
    unsafe { ptr::write_bytes(start, value, bytes) };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGetErrorString(error: c_int, text: *mut *const c_char) -> c_int {
    let found = match error {
        OUT_OF_MEMORY => c"out of memory",
        INVALID_IMAGE => c"no code for this device",
        _ => c"not found",
    };
    unsafe { *text = found.as_ptr() };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadData(module: *mut *mut c_void, image: *const c_char) -> c_int {
    let text = unsafe { CStr::from_ptr(image) }.to_string_lossy();
    let path = env::var("SEQC_DEVICE_CODE").ok().and_then(|path| CString::new(path).ok());
    let (true, Some(path)) = (text.contains(".target sm_80"), path) else {
        return INVALID_IMAGE;
    };
    // The code calls the fibers of this library.
    unsafe { dlopen(c"libcuda.so.1".as_ptr(), RTLD_NOW | RTLD_GLOBAL) };
    unsafe { *module = dlopen(path.as_ptr(), RTLD_NOW) };
    if unsafe { *module }.is_null() { INVALID_IMAGE } else { SUCCESS }
}

/// Kernels are named after their level, and what fibers run after that of fibers.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleGetFunction(function: *mut *mut c_void, module: *mut c_void, name: *const c_char) -> c_int {
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().replace("_v800", "_v32");
    let name = CString::new(name).expect("no zero inside");
    unsafe { *function = dlsym(module, name.as_ptr()) };
    if unsafe { *function }.is_null() { NOT_FOUND } else { SUCCESS }
}

/// Memory of blocks is that of the fibers.
#[unsafe(no_mangle)]
extern "C" fn cuFuncSetAttribute(_function: *mut c_void, attribute: c_int, value: c_int) -> c_int {
    const DYNAMIC_SHARED_BYTES: c_int = 8;
    const INVALID: c_int = 1;
    match (attribute, value) {
        (DYNAMIC_SHARED_BYTES, 0..=SHARED) => SUCCESS,
        _ => INVALID,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchCooperativeKernel(
    function: *mut c_void,
    blocks: c_uint,
    _blocks_y: c_uint,
    _blocks_z: c_uint,
    threads: c_uint,
    _threads_y: c_uint,
    _threads_z: c_uint,
    shared: c_uint,
    _stream: *mut c_void,
    arguments: *mut *mut c_void,
) -> c_int {
    assert!(shared <= SHARED as c_uint, "{shared} bytes of shared memory");
    count();
    let members = i64::from(blocks * (threads / MEMBER));
    *MEETING.write().expect("no member failed") = Some(Barrier::new(members as usize));
    let entry: unsafe extern "C" fn(u64, i64, i64) = unsafe { std::mem::transmute(function) };
    // Stacks, the second argument, are those of fibers.
    let frame = unsafe { *(*arguments).cast::<u64>() };
    thread::scope(|scope| {
        for tid in 0..members {
            scope.spawn(move || unsafe { entry(frame, tid, members) });
        }
    });
    SUCCESS
}
