//! Not a test: what is found in texts that hold dialogue. `SCAN_TEXTS` names files of JSON lines.

use std::collections::BTreeMap;

use super::*;

#[test]
#[ignore = "a measurement of files that are not in the repository"]
fn findings_in_real_texts() {
    let files = std::env::var("SCAN_TEXTS").unwrap_or_default();
    for file in files.split(':').filter(|file| !file.is_empty()) {
        let lines = std::fs::read_to_string(file).expect("a readable file");
        let mut texts = 0;
        let mut bytes = 0;
        let mut kinds: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
        let start = std::time::Instant::now();
        for line in lines.lines() {
            let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let text = ["text", "doc", "question"]
                .iter()
                .find_map(|member| value.get(member)?.as_str());
            let text = text.unwrap_or_default();
            texts += 1;
            bytes += text.len();
            for finding in scan(text) {
                let from = text.floor_char_boundary(finding.start.saturating_sub(40));
                let to = text.ceil_char_boundary((finding.end + 20).min(text.len()));
                kinds
                    .entry((finding.kind, finding.confidence.name()))
                    .or_default()
                    .push(format!(
                        "{}>>>{}<<<{}",
                        &text[from..finding.start],
                        &text[finding.start..finding.end],
                        &text[finding.end..to]
                    ));
            }
        }
        println!(
            "{file}: {texts} texts, {bytes} bytes, {:?}",
            start.elapsed()
        );
        for ((kind, confidence), found) in kinds {
            println!("{kind} {confidence}: {}", found.len());
            for text in found.iter().step_by((found.len() / 40).max(1)) {
                println!("    {text}");
            }
        }
    }
}

/// Not a test either: where the time goes in texts made to be slow.
#[test]
#[ignore = "a measurement"]
fn time_of_hostile_texts() {
    for piece in [
        "https://u:p@",
        "[INST]",
        "1234-",
        "a@b.io ",
        "ignore all the of previous ",
        "<|im_start|>",
        "phone 5 ",
        "[SYS>>",
        "4111 1111 1111 1112 ",
    ] {
        let text = piece.repeat((1 << 20) / piece.len());
        scan(&piece.repeat(100));
        let start = std::time::Instant::now();
        let found = scan(&text);
        let all = start.elapsed();
        print!("{piece:?}: {all:?}, {} found;", found.len());
        for which in &TRIGGERS.matches(&text) {
            let start = std::time::Instant::now();
            (DETECTORS[which].find)(&text, &mut Vec::new());
            print!(
                " {} {:?}",
                &DETECTORS[which].trigger[..DETECTORS[which].trigger.len().min(12)],
                start.elapsed()
            );
        }
        let start = std::time::Instant::now();
        injection::find(&text, &mut Vec::new(), &mut || {});
        print!(" injection {:?}", start.elapsed());
        let start = std::time::Instant::now();
        std::hint::black_box(fold::Folded::new(&text).text.len());
        print!(" of it fold {:?}", start.elapsed());
        let start = std::time::Instant::now();
        redact(&text, &found);
        println!(" redact {:?}", start.elapsed());
    }
}
