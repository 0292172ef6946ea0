//! The signed Merkle log: RFC 6962 trees, C2SP tiles, checkpoints, signed notes and proofs, the leaves and
//! payloads of Theriac's entries, and the offline verifier. Pure: no files, no databases, no clock, no
//! randomness; whoever stores a log hands bytes in and takes bytes out.

pub mod audit_event;
pub mod checkpoint;
pub mod commit;
pub mod edge;
pub mod error;
pub mod export;
pub mod hash;
pub mod leaf;
pub mod note;
pub mod origin;
pub mod payload;
pub mod policy;
pub mod proof;
pub mod receipt;
pub mod tile;
pub mod verify;

pub use checkpoint::Checkpoint;
pub use edge::{Appended, Edge, FullTile};
pub use error::FormatError;
pub use hash::{Hash, empty_root, leaf_hash, node_hash};
pub use leaf::Leaf;
pub use note::{Note, SigningKey, VerifierKey};
pub use origin::Origin;
pub use payload::Payload;
pub use policy::Policy;
pub use receipt::Receipt;
