//! Requests on their way from the thread that reads them to the task that answers.
//!
//! Bounded in number and bytes; what has no place is answered here. Must not know
//! what is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::mpsc;

use crate::netdata::link::Writer;
use crate::netdata::reply::Answer;
use crate::netdata::request::{Call, Request};

/// Requests that may wait to be looked at, and bytes of their payloads.
const MOST_WAITING: (usize, usize) = (1024, 4 << 20);

/// Takes requests from the thread that reads them.
pub(super) struct Inbox {
    requests: mpsc::Sender<(Instant, Request)>,
    writer: Writer,
    waiting: Arc<AtomicUsize>,
}

/// Where requests come out.
pub(super) struct Outlet {
    requests: mpsc::Receiver<(Instant, Request)>,
    waiting: Arc<AtomicUsize>,
}

/// An inbox and its outlet. What it must refuse it answers over `writer`.
pub(super) fn open(writer: Writer) -> (Inbox, Outlet) {
    let (sender, requests) = mpsc::channel(MOST_WAITING.0);
    let waiting = Arc::new(AtomicUsize::new(0));
    let inbox = Inbox {
        requests: sender,
        writer,
        waiting: Arc::clone(&waiting),
    };
    (inbox, Outlet { requests, waiting })
}

impl Outlet {
    /// The next request and when it came; `None` when no more can come.
    pub(super) async fn next(&mut self) -> Option<(Instant, Request)> {
        let (at, request) = self.requests.recv().await?;
        self.taken(&request);
        Some((at, request))
    }

    /// Lets nothing more in.
    pub(super) fn close(&mut self) {
        self.requests.close();
    }

    /// A request that is left in a closed one.
    pub(super) fn left(&mut self) -> Option<Request> {
        let (_, request) = self.requests.try_recv().ok()?;
        self.taken(&request);
        Some(request)
    }

    fn taken(&self, request: &Request) {
        let size = payload_size(request);
        self.waiting.fetch_sub(size, Ordering::Relaxed);
    }
}

impl Inbox {
    /// Puts a request into the queue; one that has no place there, or comes at the
    /// end, is answered here.
    pub(super) fn take(&self, request: Request) {
        let size = payload_size(&request);
        if self.waiting.fetch_add(size, Ordering::Relaxed) + size > MOST_WAITING.1 {
            self.waiting.fetch_sub(size, Ordering::Relaxed);
            refuse(&self.writer, &request, BUSY);
            return;
        }
        let sent = self.requests.try_send((Instant::now(), request));
        let (request, why) = match sent {
            Ok(()) => return,
            Err(mpsc::error::TrySendError::Full((_, request))) => (request, BUSY),
            Err(mpsc::error::TrySendError::Closed((_, request))) => (request, ENDING),
        };
        self.waiting.fetch_sub(size, Ordering::Relaxed);
        refuse(&self.writer, &request, why);
    }
}

/// What is told where too much waits.
pub(super) const BUSY: &str = "too many requests at once: try again in a second";
/// What is told at the end.
pub(super) const ENDING: &str = "the plugin is ending: try again when it is back";

fn payload_size(request: &Request) -> usize {
    match request {
        Request::Call(call) => call.payload.as_ref().map_or(0, |p| p.text.len()),
        _ => 0,
    }
}

/// Answers a request without having looked at it.
pub(super) fn refuse(writer: &Writer, request: &Request, why: &str) {
    match request {
        Request::Call(Call { id, .. }) => give(writer, id, Answer::error(id, 503, why)),
        Request::Refused { id, why } => {
            give(writer, id, Answer::error(id, why.code(), why.message()));
        }
        Request::Quit | Request::Cancel(_) | Request::Progress(_) => {}
    }
}

/// Puts an answer into the queue of what is written.
pub(super) fn give(writer: &Writer, id: &str, answer: Answer) {
    if !writer.answer(answer, || Answer::error(id, 503, BUSY)) {
        log::debug!("call {id}: nobody reads the answers");
    }
}
