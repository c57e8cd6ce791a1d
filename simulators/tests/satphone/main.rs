//! Our driver, its thread and the simulated modem, with a real line between them.

#[cfg(test)]
mod line;
