//! The program as a server: HTTP with OpenAI's interface, in front of an [`Engine`](crate::engine::Engine).
//!
//! One thread serves all connections; what takes time (tokenizing, templates, grammars) runs beside it. The engine has a thread
//! of its own and is reached through its [`Handle`](crate::engine::Handle).

mod body;
mod chat;
mod choices;
mod completions;
mod embeddings;
mod format;
mod listener;
mod metrics;
mod problem;
mod routes;
mod site;
mod stream;
mod streaming;
#[cfg(test)]
mod tests;
mod tokens;

pub(crate) use site::{Site, Threads, now};

use std::{convert::Infallible, io, net::TcpListener, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    signal::unix::{SignalKind, signal},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::sleep,
};

use crate::engine::Client;

/// Connections at once; more wait until one ends.
const MOST_CONNECTIONS: usize = 1024;
/// For the head of a request, and between two requests of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of the head of a request.
const LARGEST_HEAD: usize = 64 << 10;
/// For the last bytes of answers, when the server ends.
const LAST_BYTES: Duration = Duration::from_secs(5);

/// Serves until SIGTERM or SIGINT comes, then closes the engine and waits for running answers. `running` loses its sender when
/// the engine ends; a second signal ends the program at once.
///
/// # Errors
///
/// What the system refuses.
pub(crate) fn serve(listener: TcpListener, site: Site, running: watch::Receiver<()>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(Threads::COUNT)
        .build()?;
    let site = Arc::new(site);
    let served = runtime.block_on(run(listener, &site, running));
    site.handle.close();
    runtime.shutdown_background();
    served
}

async fn run(listener: TcpListener, site: &Arc<Site>, mut running: watch::Receiver<()>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (ending, ends) = watch::channel(());
    // Every connection holds one end of this channel.
    let (alive, mut all_gone) = mpsc::channel::<Infallible>(1);
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        tokio::select! {
            (stream, place) = accept(&listener, &places) => {
                let connection = Connection { site: Arc::clone(site), ends: ends.clone(), alive: alive.clone(), place };
                tokio::spawn(connection.serve(stream));
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = running.changed() => break,
        }
    }
    drop((listener, alive));
    site.handle.close();
    // Without connections nobody listens.
    let _ = ending.send(());
    let late = async {
        // It is the loss of the sender that is waited for.
        let _ = running.changed().await;
        sleep(LAST_BYTES).await;
    };
    tokio::select! {
        _ = all_gone.recv() => {}
        () = late => {}
        _ = terminate.recv() => std::process::exit(2),
        _ = interrupt.recv() => std::process::exit(2),
    }
    Ok(())
}

/// The next connection, when there is a place for it.
async fn accept(
    listener: &tokio::net::TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            // Too many open files, or a client that went away: later there may be room.
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// What a connection is served with.
struct Connection {
    site: Arc<Site>,
    ends: watch::Receiver<()>,
    #[expect(dead_code, reason = "it is held until the connection ends")]
    alive: mpsc::Sender<Infallible>,
    #[expect(dead_code, reason = "it is held until the connection ends")]
    place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    /// Answers the requests of a connection, one after another, until it ends or the server does.
    async fn serve(mut self, stream: TcpStream) {
        // Tokens are small and must not wait for each other; without this they are late, nothing else.
        let _ = stream.set_nodelay(true);
        let site = Arc::clone(&self.site);
        // One that has gone away already asks nothing.
        let client = stream
            .peer_addr()
            .map_or(Client::default(), |address| address.ip().into());
        let service = service_fn(move |request| {
            let site = Arc::clone(&site);
            async move { Ok::<_, Infallible>(routes::answer(&site, client, request).await) }
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(LARGEST_HEAD);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        // What goes wrong with a connection is the end of it, and nobody's concern but the client's.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = self.ends.changed() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}
