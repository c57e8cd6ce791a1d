//! Tests that walk all protocols.

mod properties;
mod vectors;
