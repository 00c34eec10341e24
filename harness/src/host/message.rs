//! One direction of a stream: what arrived, what the guest holds, what was passed on.
use super::headers::HeaderMap;
use super::reply::LocalReply;

/// A message as the other side of the filter sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Headers, with the guest's changes.
    pub headers: HeaderMap,
    /// Body passed on so far.
    pub body: Vec<u8>,
    /// Trailers, if there are any.
    pub trailers: Option<HeaderMap>,
}

/// Where one direction of a stream stands after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Everything that arrived was passed on.
    Continue,
    /// The guest holds the message back.
    Paused,
    /// The stream was answered locally.
    Replied,
    /// The stream was reset.
    Reset,
}

/// What became of one direction of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'stream> {
    /// The whole message was passed on.
    Forwarded(&'stream Message),
    /// What arrived so far was passed on; the message has not ended.
    Open(&'stream Message),
    /// The guest holds the message back; it may wait for a call's answer. The body is what was passed on before.
    Paused(&'stream Message),
    /// The stream was answered locally.
    LocalReply(&'stream LocalReply),
    /// The stream was reset.
    Reset,
}

/// Why a direction does not move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It moves.
    #[default]
    None,
    /// Envoy's `StopIteration`: later parts still reach the guest.
    Single,
    /// Envoy's `StopAllIteration`: later parts wait outside.
    All,
}

/// One direction of a stream.
#[derive(Debug, Default)]
pub(crate) struct Side {
    /// The message: live headers and trailers, and the body passed on.
    pub(crate) message: Message,
    /// Whether headers arrived.
    pub(crate) started: bool,
    /// Whether the guest sees the headers.
    pub(crate) headers_visible: bool,
    /// Whether the headers were passed on: later changes go nowhere.
    pub(crate) headers_passed: bool,
    /// Whether the guest sees the trailers.
    pub(crate) trailers_visible: bool,
    /// Body that the guest sees and may change.
    pub(crate) buffer: Vec<u8>,
    /// Whether the guest sees the buffer.
    pub(crate) body_visible: bool,
    /// Whether the next chunk joins the buffer.
    pub(crate) buffering: bool,
    /// Body held back that the guest does not see any more (`StopIterationAndWatermark`).
    pub(crate) held: Vec<u8>,
    /// Why nothing is passed on.
    pub(crate) hold: Hold,
    /// Body that arrived during [`Hold::All`].
    pub(crate) waiting: Vec<u8>,
    /// Whether body arrived during [`Hold::All`], be it empty.
    pub(crate) waiting_body: bool,
    /// Trailers that arrived during [`Hold::All`].
    pub(crate) waiting_trailers: Option<HeaderMap>,
    /// Whether the end arrived.
    pub(crate) ended: bool,
    /// Whether the end was passed on.
    pub(crate) end_passed: bool,
}

impl Side {
    /// Passes on all that is held back.
    pub(crate) fn release(&mut self) {
        self.hold = Hold::None;
        self.headers_passed = true;
        pass(&mut self.message.body, &mut self.held);
        pass(&mut self.message.body, &mut self.buffer);
        self.body_visible = false;
        self.buffering = false;
        self.end_passed = self.ended;
    }

    /// Bytes of body that are held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.buffer.len().saturating_add(self.held.len()).saturating_add(self.waiting.len())
    }
}

/// Moves bytes; the first move costs nothing.
fn pass(to: &mut Vec<u8>, from: &mut Vec<u8>) {
    if to.is_empty() {
        std::mem::swap(to, from);
        from.clear();
    } else {
        to.append(from);
    }
}
