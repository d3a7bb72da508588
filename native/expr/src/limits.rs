//! Every bound of the expression guard, in one place.
//!
//! The static bounds are checked when an expression is compiled, so that a configuration with an expression that is too
//! large is refused at load. [`MAX_STEPS`] also holds at run time, because the size of facts is not known at load.

/// Longest source text, in bytes.
pub const MAX_SOURCE_BYTES: usize = 4 * 1024;

/// Most nodes of the syntax tree.
pub const MAX_NODES: usize = 512;

/// Deepest nesting, of the syntax tree and of brackets. It bounds the stack that parsing and evaluation need.
pub const MAX_DEPTH: usize = 32;

/// Deepest nesting of lists and maps inside facts that `==` follows.
pub const MAX_DATA_DEPTH: usize = 64;

/// Largest compiled size of one regular expression, in bytes.
pub const MAX_PATTERN_BYTES: usize = 64 * 1024;

/// Most memory for the match cache of one regular expression, in bytes.
pub const MAX_PATTERN_CACHE_BYTES: usize = 256 * 1024;

/// Most steps of one evaluation, and most elements of what it makes, unless the program is compiled with another bound. A step is one node, one element of a collection or a piece of text.
pub const MAX_STEPS: u64 = 10_000;

/// Text that is compared, searched, copied or converted costs one step per this many bytes.
pub const TEXT_BYTES_PER_STEP: u64 = 64;

/// Text that a regular expression searches costs one step per this many bytes, times the size of the compiled expression
/// in units of [`PATTERN_UNIT_BYTES`].
pub const PATTERN_BYTES_PER_STEP: u64 = 8;

/// See [`PATTERN_BYTES_PER_STEP`].
pub const PATTERN_UNIT_BYTES: usize = 4 * 1024;

/// Elements that the static cost assumes in a collection whose size is only known at run time, those of lists and maps
/// inside of it included.
pub const ASSUMED_ELEMENTS: u64 = 100;

/// Bytes that the static cost assumes in a text whose size is only known at run time.
pub const ASSUMED_TEXT_BYTES: u64 = 1024;
