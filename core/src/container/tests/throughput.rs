use std::io;
use std::time::Instant;

use super::*;

/// `cargo test --release -p memory_core throughput -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn throughput() {
    const SIZE: usize = 512 * 1024 * 1024;
    // 1 KiB rows, a batch of them at a time.
    let mut lines: Vec<u8> = (0..1024 * 1024)
        .map(|at| b' ' + (at * 31 % 94) as u8)
        .collect();
    lines
        .iter_mut()
        .skip(1023)
        .step_by(1024)
        .for_each(|byte| *byte = b'\n');
    let per_second = |start: Instant| SIZE as f64 / 1e6 / start.elapsed().as_secs_f64();
    // Touched once, so that the measurement is not that of the kernel's page faults.
    let mut file = vec![1; SIZE + SIZE / 100];
    for _ in 0..3 {
        let header = header(vec![section("memories", &[("content", "text")])]);
        file.clear();
        let mut writer = Writer::new(file, header, &key(), randomness(1)).unwrap();
        let start = Instant::now();
        writer.start_section("memories").unwrap();
        for _ in 0..SIZE / lines.len() {
            for row in lines.chunks(1024) {
                writer.rows(row).unwrap();
            }
        }
        writer.end_section().unwrap();
        file = writer.finish().unwrap().output;
        let write = per_second(start);
        let start = Instant::now();
        verify(io::Cursor::new(&file), &key(), None).unwrap();
        println!(
            "write {write:.0} MB/s, verify {:.0} MB/s",
            per_second(start)
        );
    }
    let header = header(vec![]);
    let passphrase = Secret::passphrase("correct horse").unwrap();
    let start = Instant::now();
    Writer::new(io::sink(), header, &passphrase, randomness(1)).unwrap();
    println!("passphrase {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
}
