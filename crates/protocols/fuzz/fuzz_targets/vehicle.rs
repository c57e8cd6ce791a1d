//! Any bytes as a vehicle terminal's stream, and as its datagrams. Checked: no panic, limits hold, an
//! alarm is always one, and a press reads the same however it is cut.
#![no_main]

use hansho_model::Lane;
use hansho_protocols::vehicle::{FRAME_SIZE_MAX, Frames, alarm, frame, hello, position, up};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut frames = Frames::default();
    for piece in input.chunks(7) {
        frames.feed(piece);
        while let Ok(Some(content)) = frames.take() {
            assert!(content.len() <= FRAME_SIZE_MAX);
            drop(hello(&content));
        }
    }
    let mut whole = Frames::default();
    let content = input.get(..input.len().min(FRAME_SIZE_MAX)).unwrap_or_default();
    whole.feed(&frame(content));
    if !content.is_empty() {
        assert_eq!(whole.take().ok().flatten().as_deref(), Some(content));
    }
    drop(up(input));
    assert_eq!(alarm("T", input).1.lane, Lane::A);
    // What calls for help is heard in the wrong place, too, and not trusted.
    let place = position("T", input);
    assert!(place.lane == Lane::D || place.refused.is_some());
});
