//! What is promised, on real servers. A test whose server isn't installed is skipped.

mod round_trips;
