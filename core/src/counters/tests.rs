use super::*;

#[test]
fn a_counter_goes_on_from_zero() {
    let counter = Counter::default();
    counter.add(u64::MAX);
    assert_eq!(counter.get(), u64::MAX);

    counter.one();
    assert_eq!(counter.get(), 0);
    counter.add(7);
    assert_eq!(counter.get(), 7);
}

#[test]
fn threads_lose_no_count() {
    const THREADS: u64 = 8;
    const EACH: u64 = 20_000;
    let (counter, histogram) = (Counter::default(), Histogram::default());

    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (counter, histogram) = (&counter, &histogram);
            scope.spawn(move || {
                for turn in 0..EACH {
                    counter.one();
                    histogram.observe(Duration::from_micros((thread * EACH + turn) % 3000));
                }
            });
        }
    });

    assert_eq!(counter.get(), THREADS * EACH);
    assert_eq!(histogram.get().count(), THREADS * EACH);
}

#[test]
fn a_bound_belongs_to_its_bucket() {
    for (place, bound) in BOUNDS_MICROS.into_iter().enumerate() {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_micros(bound));
        histogram.observe(Duration::from_micros(bound + 1));
        let found = histogram.get();
        assert_eq!(found.cumulative[place], 1, "{bound}");
        assert_eq!(found.cumulative[place + 1], 2, "{bound}");
        assert_eq!(found.count(), 2);
        assert_eq!(found.sum_seconds, (2 * bound + 1) as f64 / 1e6);
    }
}

#[test]
fn the_longest_and_the_shortest_have_a_bucket() {
    let histogram = Histogram::default();
    histogram.observe(Duration::ZERO);
    histogram.observe(Duration::MAX);
    let found = histogram.get();
    assert_eq!(found.cumulative[0], 1);
    assert_eq!(found.cumulative[BUCKETS - 2], 1);
    assert_eq!(found.count(), 2);
}

#[test]
fn a_bucket_that_went_on_from_zero_makes_nothing_shrink() {
    let histogram = Histogram::default();
    histogram.buckets[0].add(u64::MAX);
    histogram.observe(Duration::from_secs(60));
    histogram.sum_micros.add(u64::MAX - 60_000_000);
    let found = histogram.get();
    assert!(found.cumulative.is_sorted(), "{found:?}");
    assert_eq!(found.count(), u64::MAX);

    histogram.observe(Duration::from_micros(3));
    let found = histogram.get();
    assert_eq!(found.cumulative[0], 0);
    assert_eq!(found.count(), 1);
    assert_eq!(found.sum_seconds, 2e-6);
}

#[test]
fn bounds_are_those_in_seconds() {
    let written: Vec<String> = Distribution::bounds()
        .iter()
        .map(|bound| bound.to_string())
        .collect();
    assert_eq!(
        written.join(" "),
        "0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30"
    );
}
