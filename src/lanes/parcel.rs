//! An envelope between the hub and the node that confirms it.

use bytes::Bytes;

use super::channel::Address;
use super::set::LaneSet;

/// An envelope on its way.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// To whom.
    pub to: Address,
    /// The envelope, encoded.
    pub payload: Bytes,
    /// The lanes on which it was sent.
    pub tried: LaneSet,
}

/// A parcel whose arrival is not confirmed.
#[derive(Debug)]
pub struct InFlight {
    pub parcel: Parcel,
    /// A copy was sent on another lane.
    pub is_copied: bool,
}
