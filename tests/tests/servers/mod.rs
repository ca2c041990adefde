//! The promises, on real servers. A test whose server isn't installed is skipped.

mod limits;
mod obstacles;
mod pipes;
mod refusals;
mod round_trips;
