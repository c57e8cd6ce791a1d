//! Any bytes as a CAP document. Checked: no panic; what is accepted is by the schema too, and is
//! written so that it comes back the same.
//!
//! ```text
//! cd crates/protocols && RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none cap fuzz/corpus/cap fuzz/seeds/cap -- -max_total_time=180 -max_len=8192
//! ```
#![no_main]

use hansho_protocols::cap::{DOCUMENT_SIZE_MAX, Document, read, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = Document::read(bytes) else {
        assert!(read(bytes).is_err());
        return;
    };
    for alert in document.alerts.iter().filter_map(|found| found.accept().ok()) {
        let written = write(&alert);
        if written.len() <= DOCUMENT_SIZE_MAX {
            let again = Document::read(written.as_bytes()).expect("what we write is read");
            assert_eq!(again.schema(), Ok(()), "{written}");
            assert_eq!(read(written.as_bytes()).as_ref(), Ok(&alert), "{written}");
        }
    }
});
