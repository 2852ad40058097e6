use proptest::prelude::*;

use super::*;

// One reader for the tests of the writer and of what the server says.
#[path = "../../../tests/support/exposition.rs"]
#[allow(dead_code)]
mod strict;

fn read(text: &str) -> strict::Exposition {
    strict::Exposition::read(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn the_text_is_as_the_specification_has_it() {
    let mut exposition = Exposition::default();
    let mut requests = exposition
        .family(
            "http_requests_total",
            "The total number of HTTP requests.",
            Kind::Counter,
        )
        .unwrap();
    requests
        .count(&[("method", "post"), ("code", "200")], 1027)
        .unwrap();
    requests
        .count(&[("method", "post"), ("code", "400")], 3)
        .unwrap();
    exposition
        .family(
            "msdos_file_access_time_seconds",
            "A \\ and\na \"line\"",
            Kind::Gauge,
        )
        .unwrap()
        .number(
            &[
                ("path", "C:\\DIR\\FILE.TXT"),
                ("error", "Cannot find file:\n\"FILE.TXT\""),
            ],
            1.458255915e9,
        )
        .unwrap();
    exposition
        .family("something_weird", "Weird.", Kind::Gauge)
        .unwrap()
        .number(&[("problem", "division by zero")], f64::INFINITY)
        .unwrap();
    exposition
        .family("request_duration_seconds", "Durations.", Kind::Histogram)
        .unwrap()
        .histogram(&[], &[0.05, 0.1], &[24054, 33444, 144320], 53423.0)
        .unwrap();

    let text = exposition.into_text();
    assert_eq!(
        text,
        "# HELP http_requests_total The total number of HTTP requests.\n\
         # TYPE http_requests_total counter\n\
         http_requests_total{method=\"post\",code=\"200\"} 1027\n\
         http_requests_total{method=\"post\",code=\"400\"} 3\n\
         # HELP msdos_file_access_time_seconds A \\\\ and\\na \"line\"\n\
         # TYPE msdos_file_access_time_seconds gauge\n\
         msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"Cannot find file:\\n\\\"FILE.TXT\\\"\"} 1458255915\n\
         # HELP something_weird Weird.\n\
         # TYPE something_weird gauge\n\
         something_weird{problem=\"division by zero\"} +Inf\n\
         # HELP request_duration_seconds Durations.\n\
         # TYPE request_duration_seconds histogram\n\
         request_duration_seconds_bucket{le=\"0.05\"} 24054\n\
         request_duration_seconds_bucket{le=\"0.1\"} 33444\n\
         request_duration_seconds_bucket{le=\"+Inf\"} 144320\n\
         request_duration_seconds_sum 53423\n\
         request_duration_seconds_count 144320\n"
    );
    let found = read(&text);
    assert_eq!(found.families.len(), 4);
    assert_eq!(
        found.value(
            "http_requests_total",
            &[("code", "400"), ("method", "post")]
        ),
        Some(3.0)
    );
}

#[test]
fn a_family_without_samples_is_not_there() {
    let mut exposition = Exposition::default();
    exposition.family("a", "A.", Kind::Gauge).unwrap();
    assert_eq!(exposition.into_text(), "");
}

#[test]
fn numbers_are_read_back_as_they_were() {
    for (number, text) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-2.5, "-2.5"),
        (0.0005, "0.0005"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e15, "1000000000000000"),
        (1e16, "1e16"),
        (f64::MAX, "1.7976931348623157e308"),
        (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        (5e-324, "5e-324"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
        (f64::NAN, "NaN"),
    ] {
        assert_eq!(written(number), text);
    }
    let mut exposition = Exposition::default();
    let mut family = exposition.family("a_total", "A.", Kind::Counter).unwrap();
    family.count(&[], u64::MAX).unwrap();
    assert!(
        exposition
            .into_text()
            .ends_with("\na_total 18446744073709551615\n")
    );
}

#[test]
fn what_would_spoil_a_scrape_is_refused() {
    let mut exposition = Exposition::default();
    for name in ["", "1a", "a-b", "a b", "a\n", "\u{e4}", "a{", "\0"] {
        let refused = exposition.family(name, "A.", Kind::Gauge).unwrap_err();
        assert_eq!(refused, ExpositionError::Name(name.to_owned()));
    }
    exposition.family("a", "A.", Kind::Histogram).unwrap();
    for (name, kind) in [
        ("a", Kind::Gauge),
        ("a_count", Kind::Gauge),
        ("a_sum", Kind::Counter),
        ("a_bucket", Kind::Histogram),
    ] {
        let refused = exposition.family(name, "A.", kind).unwrap_err();
        assert_eq!(refused, ExpositionError::Repeated(name.to_owned()));
    }
    exposition.family("b_sum", "B.", Kind::Gauge).unwrap();
    exposition.family("b", "B.", Kind::Histogram).unwrap_err();

    let mut family = exposition.family("c", "C.", Kind::Gauge).unwrap();
    for label in ["", "1", "a:b", "__name__", "a b", "a\"", "\u{e4}"] {
        let refused = family.number(&[(label, "x")], 1.0).unwrap_err();
        assert_eq!(refused, ExpositionError::Label(label.to_owned()));
    }
    family.number(&[("x", "1"), ("x", "2")], 1.0).unwrap_err();
    family.number(&[("x", "1"), ("y", "2")], 1.0).unwrap();
    family.number(&[("y", "2"), ("x", "1")], 1.0).unwrap_err();
    family.histogram(&[], &[], &[1], 1.0).unwrap_err();

    let mut family = exposition.family("d", "D.", Kind::Histogram).unwrap();
    family.count(&[], 1).unwrap_err();
    family
        .histogram(&[("le", "1")], &[1.0], &[1, 1], 1.0)
        .unwrap_err();
    let refused: [(&[f64], &[u64]); 6] = [
        (&[], &[]),
        (&[1.0], &[1]),
        (&[1.0, 1.0], &[1, 1, 1]),
        (&[2.0, 1.0], &[1, 1, 1]),
        (&[1.0], &[2, 1]),
        (&[f64::INFINITY], &[1, 1]),
    ];
    for (bounds, cumulative) in refused {
        let refused = family.histogram(&[], bounds, cumulative, 1.0).unwrap_err();
        assert_eq!(refused, ExpositionError::Buckets("d".to_owned()));
    }
    let text = exposition.into_text();
    assert_eq!(
        text, "# HELP c C.\n# TYPE c gauge\nc{x=\"1\",y=\"2\"} 1\n",
        "of what is refused nothing stays"
    );
}

#[test]
fn the_reader_takes_no_nonsense() {
    let head = "# HELP a A.\n# TYPE a gauge\n";
    for text in [
        "a 1\n",
        "# HELP a A.\na 1\n",
        "# TYPE a gauge\na 1\n",
        "# HELP a A.\n# TYPE b gauge\nb 1\n",
        "# HELP a A.\n# TYPE a counter\na 1\n",
        "# HELP a A.\n# TYPE a gauge\n",
        "# HELP a A.\n# TYPE a gauge\na 1",
        "# HELP a A.\n# TYPE a gauge\nb 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1 1700000000\n",
        "# HELP a A.\n# TYPE a gauge\na  1\n",
        "# HELP a A.\n# TYPE a gauge\na 0x1\n",
        "# HELP a A.\n# TYPE a gauge\na inf\n",
        "# HELP a A.\n# TYPE a gauge\na{} 1\n",
        "# HELP a A.\n# TYPE a gauge\na{b=\"c} 1\n",
        "# HELP a A.\n# TYPE a gauge\na{b=\"\\t\"} 1\n",
        "# HELP a A.\n# TYPE a gauge\na{b=\"c\",} 1\n",
        "# HELP a A.\n# TYPE a gauge\na{b=\"c\"} 1\na{b=\"c\"} 2\n",
        "# HELP a A.\n# TYPE a gauge\na 1\n\n",
        "# HELP a_total A.\n# TYPE a_total counter\na_total -1\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 2\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 1\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
    ] {
        assert!(strict::Exposition::read(text).is_err(), "{text}");
    }
    read(&format!("{head}a 1\n"));
}

proptest! {
    #[test]
    fn whatever_is_labelled_is_read_back(
        families in proptest::collection::btree_map(
            "[a-z_][a-z0-9_]{0,12}x",
            (".{1,20}", proptest::collection::btree_map("[a-z][a-z0-9_]{0,6}", any::<String>(), 0..4), any::<f64>()),
            0..6,
        )
    ) {
        let mut exposition = Exposition::default();
        for (name, (help, labels, value)) in &families {
            let help = format!("Help: {help}");
            let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let mut family = exposition.family(name, &help, Kind::Gauge).unwrap();
            family.number(&labels, *value).unwrap();
        }
        let text = exposition.into_text();
        let found = strict::Exposition::read(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(found.families.len(), families.len());
        for (family, (name, (help, labels, value))) in found.families.iter().zip(&families) {
            prop_assert_eq!(&family.name, name);
            prop_assert_eq!(&family.help, &format!("Help: {help}"));
            prop_assert_eq!(&family.samples[0].labels, labels);
            let is = family.samples[0].value;
            prop_assert!(is.to_bits() == value.to_bits() || (is.is_nan() && value.is_nan()), "{} {}", is, value);
        }
    }

    #[test]
    fn nothing_makes_the_writer_panic(name in any::<String>(), help in any::<String>(), label in any::<String>(), value in any::<String>(),
                                      number in any::<f64>(), bounds in proptest::collection::vec(any::<f64>(), 0..4),
                                      counts in proptest::collection::vec(any::<u64>(), 0..5)) {
        for kind in [Kind::Counter, Kind::Gauge, Kind::Histogram] {
            let mut exposition = Exposition::default();
            if let Ok(mut family) = exposition.family(&name, &help, kind) {
                let _ = family.number(&[(&label, &value)], number);
                let _ = family.histogram(&[(&label, &value)], &bounds, &counts, number);
            }
            let text = exposition.into_text();
            prop_assert!(text.is_empty() || text.ends_with('\n'));
        }
    }
}
