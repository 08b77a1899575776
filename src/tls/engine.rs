//! How rustls' unbuffered connections are driven, whichever role they have.
//!
//! Not here: what a session promises; see `session`. Invariant: every state that rustls can be in is
//! handled, and none is left before what it has to send is in the output.

use rustls::CommonState;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};

use super::settings::Version;
use super::verdict;
use crate::error::{Code, Result};

/// More than encryption adds to a record, header and all.
pub(super) const OVERHEAD: usize = 64;

/// Where things go.
pub(super) struct Sink<'a> {
    pub(super) plain: &'a mut Vec<u8>,
    pub(super) out: &'a mut Vec<u8>,
    pub(super) has_ended: &'a mut bool,
    /// The oldest and the newest version that we speak.
    pub(super) spoken: (Version, Version),
}

/// What the two roles of rustls have in common, which it has no trait for.
pub(super) trait Peer {
    type Data;
    const IS_CLIENT: bool;

    fn process<'c, 'i>(&'c mut self, seen: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    fn state(&self) -> &CommonState;
}

impl Peer for UnbufferedClientConnection {
    type Data = ClientConnectionData;
    const IS_CLIENT: bool = true;

    fn process<'c, 'i>(&'c mut self, seen: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(seen)
    }

    fn state(&self) -> &CommonState {
        self
    }
}

impl Peer for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    const IS_CLIENT: bool = false;

    fn process<'c, 'i>(&'c mut self, seen: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(seen)
    }

    fn state(&self) -> &CommonState {
        self
    }
}

/// How many bytes were written.
pub(super) type Written = std::result::Result<usize, EncryptError>;

/// Writing, whichever role it is.
pub(super) trait Traffic {
    fn encrypt(&mut self, part: &[u8], room: &mut [u8]) -> Written;

    fn queue_close_notify(&mut self, room: &mut [u8]) -> Written;
}

impl<Data> Traffic for WriteTraffic<'_, Data> {
    fn encrypt(&mut self, part: &[u8], room: &mut [u8]) -> Written {
        WriteTraffic::encrypt(self, part, room)
    }

    fn queue_close_notify(&mut self, room: &mut [u8]) -> Written {
        WriteTraffic::queue_close_notify(self, room)
    }
}

/// Lets `peer` go on with what it has `seen` until it needs more; says how many of these bytes it is
/// done with.
pub(super) fn advance<P: Peer>(peer: &mut P, seen: &mut [u8], sink: &mut Sink) -> Result<usize> {
    let mut used = 0;
    loop {
        let UnbufferedStatus { mut discard, state } = peer.process(&mut seen[used..]);
        let goes_on = match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    let record = record.map_err(|error| verdict::of(&error))?;
                    sink.plain.extend_from_slice(record.payload);
                    discard += record.discard;
                }
                true
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                encode(&mut data, sink.out)?;
                true
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                true
            }
            Ok(ConnectionState::PeerClosed) => {
                *sink.has_ended = true;
                true
            }
            Ok(
                ConnectionState::BlockedHandshake
                | ConnectionState::WriteTraffic(_)
                | ConnectionState::Closed,
            ) => false,
            Ok(_) => return Err(verdict::said(Code::Internal, "data before the handshake")),
            Err(error) => {
                return Err(verdict::in_scene(&error, sink.spoken, P::IS_CLIENT, peer.state()));
            }
        };
        used += discard;
        if !goes_on {
            break;
        }
    }
    if *sink.has_ended && peer.state().is_handshaking() {
        return Err(verdict::truncated(false));
    }
    Ok(used)
}

/// Writes what waits to be sent: after an error the alert.
pub(super) fn flush<P: Peer>(peer: &mut P, out: &mut Vec<u8>) {
    // While something waits, rustls gives it out before it looks at what was received.
    while peer.state().wants_write() {
        let Ok(ConnectionState::EncodeTlsData(mut data)) = peer.process(&mut []).state else {
            break;
        };
        if encode(&mut data, out).is_err() {
            break;
        }
    }
}

/// Puts something into `out` that has `room` there.
pub(super) fn write<P: Peer>(
    peer: &mut P,
    seen: &mut [u8],
    room: usize,
    out: &mut Vec<u8>,
    put: &mut dyn FnMut(&mut dyn Traffic, &mut [u8]) -> Written,
) -> Result<()> {
    flush(peer, out);
    loop {
        match peer.process(seen).state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                return append(out, room, |room| match put(&mut traffic, room) {
                    Err(EncryptError::InsufficientSize(least)) => Err(Some(least.required_size)),
                    Err(EncryptError::EncryptExhausted) => Err(None),
                    Ok(length) => Ok(length),
                });
            }
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(_) => return Err(verdict::said(Code::Closed, "there is no session to write to")),
            Err(error) => return Err(verdict::of(&error)),
        }
    }
}

fn encode<Data>(data: &mut EncodeTlsData<'_, Data>, out: &mut Vec<u8>) -> Result<()> {
    append(out, OVERHEAD, |room| match data.encode(room) {
        Err(EncodeError::InsufficientSize(least)) => Err(Some(least.required_size)),
        Err(EncodeError::AlreadyEncoded) => Err(None),
        Ok(length) => Ok(length),
    })
}

/// Makes room at the end of `out` for what `put` writes; it says how much it wrote, how much room it
/// needs, or that it can't.
fn append(
    out: &mut Vec<u8>,
    mut room: usize,
    mut put: impl FnMut(&mut [u8]) -> std::result::Result<usize, Option<usize>>,
) -> Result<()> {
    let begin = out.len();
    loop {
        out.resize(begin + room, 0);
        match put(&mut out[begin..]) {
            Ok(length) => {
                out.truncate(begin + length);
                return Ok(());
            }
            Err(Some(least)) if least > room => room = least,
            Err(_) => {
                out.truncate(begin);
                return Err(verdict::said(Code::Internal, "its keys are used up; connect anew"));
            }
        }
    }
}
