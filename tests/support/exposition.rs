//! A strict reader of Prometheus's text format 0.0.4: it takes nothing that only some scrapers take, and checks what promtool
//! warns of. The unit tests of the writer use it too.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    pub name: String,
    pub help: String,
    pub kind: String,
    pub samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
    /// The value as it is written.
    pub text: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition {
    pub families: Vec<Family>,
}

impl Exposition {
    /// Reads a whole text; the error says what is wrong in which line.
    pub fn read(text: &str) -> Result<Exposition, String> {
        if !text.is_empty() && !text.ends_with('\n') {
            return Err("the last line does not end".to_owned());
        }
        let mut reader = Reader::default();
        for (place, line) in text.split_terminator('\n').enumerate() {
            reader
                .line(line)
                .map_err(|error| format!("line {}: {error}: {line:?}", place + 1))?;
        }
        reader.end()
    }

    pub fn family(&self, name: &str) -> Option<&Family> {
        self.families.iter().find(|family| family.name == name)
    }

    /// The sample of this name and exactly these labels.
    pub fn sample(&self, name: &str, labels: &[(&str, &str)]) -> Option<&Sample> {
        let wanted: BTreeMap<String, String> = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut samples = self.families.iter().flat_map(|family| &family.samples);
        samples.find(|sample| sample.name == name && sample.labels == wanted)
    }

    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.sample(name, labels).map(|sample| sample.value)
    }
}

#[derive(Default)]
struct Reader {
    families: Vec<Family>,
    names: BTreeSet<String>,
    /// HELP of the family whose TYPE comes next.
    help: Option<(String, String)>,
    series: BTreeSet<String>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() {
            return Err("an empty line".to_owned());
        }
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or("HELP without a text")?;
            if self.help.is_some() {
                return Err("HELP after HELP".to_owned());
            }
            let help = unescape(help, false)?;
            if help.trim().is_empty() || help.trim_start() != help {
                return Err("HELP says nothing".to_owned());
            }
            metric_name(name)?;
            self.help = Some((name.to_owned(), help));
            return Ok(());
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or("TYPE without a type")?;
            let (of, help) = self.help.take().ok_or("TYPE without HELP")?;
            if of != name {
                return Err(format!("TYPE after HELP of {of}"));
            }
            if !["counter", "gauge", "histogram"].contains(&kind) {
                return Err("an unknown type".to_owned());
            }
            if (kind == "counter") != name.ends_with("_total") {
                return Err("_total is for counters, and for all of them".to_owned());
            }
            let suffixes: &[&str] = match kind {
                "histogram" => &["", "_bucket", "_sum", "_count"],
                _ => &[""],
            };
            for suffix in suffixes {
                if !self.names.insert(format!("{name}{suffix}")) {
                    return Err("the name is taken".to_owned());
                }
            }
            self.finish_family()?;
            self.families.push(Family {
                name: name.to_owned(),
                help,
                kind: kind.to_owned(),
                samples: Vec::new(),
            });
            return Ok(());
        }
        if line.starts_with('#') {
            return Err("a comment that is neither HELP nor TYPE".to_owned());
        }
        if self.help.is_some() {
            return Err("no TYPE after HELP".to_owned());
        }
        let sample = sample(line)?;
        let family = self.families.last_mut().ok_or("a sample of no family")?;
        let suffix = sample.name.strip_prefix(family.name.as_str());
        let fits = match family.kind.as_str() {
            "histogram" => matches!(suffix, Some("_bucket" | "_sum" | "_count")),
            _ => suffix == Some(""),
        };
        if !fits {
            return Err(format!("a sample in the family {}", family.name));
        }
        let is_bucket = suffix == Some("_bucket");
        if is_bucket != sample.labels.contains_key("le") {
            return Err("le is for buckets, and for all of them".to_owned());
        }
        if family.kind != "gauge" && !(sample.value >= 0.0 && sample.value.is_finite()) {
            return Err("a counter is a finite number from 0".to_owned());
        }
        if !self
            .series
            .insert(format!("{} {:?}", sample.name, sample.labels))
        {
            return Err("the series is there twice".to_owned());
        }
        family.samples.push(sample);
        Ok(())
    }

    /// Checks the family that is complete.
    fn finish_family(&self) -> Result<(), String> {
        let Some(family) = self.families.last() else {
            return Ok(());
        };
        if family.samples.is_empty() {
            return Err(format!("family {} has no sample", family.name));
        }
        if family.kind == "histogram" {
            histograms(family)?;
        }
        Ok(())
    }

    fn end(self) -> Result<Exposition, String> {
        if self.help.is_some() {
            return Err("HELP at the end".to_owned());
        }
        self.finish_family()?;
        Ok(Exposition {
            families: self.families,
        })
    }
}

fn histograms(family: &Family) -> Result<(), String> {
    type Parts = (Vec<(f64, f64)>, Option<f64>, Option<f64>);
    let mut parts: BTreeMap<String, Parts> = BTreeMap::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        let le = labels.remove("le");
        let part = parts.entry(format!("{labels:?}")).or_default();
        if sample.name.ends_with("_bucket") {
            let le = match le.as_deref() {
                Some("+Inf") => f64::INFINITY,
                Some(le) => number(le)?,
                None => return Err("a bucket without le".to_owned()),
            };
            part.0.push((le, sample.value));
        } else if sample.name.ends_with("_sum") {
            part.1 = Some(sample.value);
        } else {
            part.2 = Some(sample.value);
        }
    }
    for (labels, (buckets, sum, count)) in parts {
        let wrong = |what: &str| Err(format!("histogram {} {labels}: {what}", family.name));
        if !buckets
            .windows(2)
            .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1)
        {
            return wrong("buckets out of order");
        }
        match buckets.last() {
            Some((le, all)) if le.is_infinite() && Some(*all) == count => {}
            _ => return wrong("+Inf is not the count"),
        }
        if sum.is_none() {
            return wrong("no sum");
        }
    }
    Ok(())
}

fn metric_name(name: &str) -> Result<(), String> {
    let mut bytes = name.bytes();
    let first = bytes.next().ok_or("no name")?;
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    if is_letter(first) && bytes.all(|byte| is_letter(byte) || byte.is_ascii_digit()) {
        return Ok(());
    }
    Err(format!("{name:?} is no name"))
}

fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("neither labels nor a value")?;
    let (name, rest) = line.split_at(end);
    metric_name(name)?;
    let (labels, value) = match rest.strip_prefix('{') {
        None => (BTreeMap::new(), rest),
        Some(rest) => labels(rest)?,
    };
    let text = value.strip_prefix(' ').ok_or("no blank before the value")?;
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value: number(text)?,
        text: text.to_owned(),
    })
}

/// The labels up to the closing brace, and what follows it.
fn labels(text: &str) -> Result<(BTreeMap<String, String>, &str), String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    loop {
        let (name, quoted) = rest.split_once("=\"").ok_or("a label without a value")?;
        metric_name(name)?;
        if name.starts_with("__") {
            return Err("a reserved label".to_owned());
        }
        let mut escaped = false;
        let close = quoted
            .bytes()
            .position(|byte| {
                let ends = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                ends
            })
            .ok_or("a value without an end")?;
        let value = unescape(&quoted[..close], true)?;
        if labels.insert(name.to_owned(), value).is_some() {
            return Err("a label twice".to_owned());
        }
        let after = &quoted[close + 1..];
        if let Some(after) = after.strip_prefix('}') {
            return Ok((labels, after));
        }
        rest = after.strip_prefix(',').ok_or("no comma after a label")?;
    }
}

fn unescape(text: &str, quotes: bool) -> Result<String, String> {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => match characters.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('"') if quotes => '"',
                _ => return Err("an unknown escape".to_owned()),
            },
            '"' if quotes => return Err("a bare quote".to_owned()),
            other => other,
        });
    }
    Ok(plain)
}

fn number(text: &str) -> Result<f64, String> {
    match text {
        "NaN" => Ok(f64::NAN),
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        digits
            if digits
                .bytes()
                .all(|byte| byte.is_ascii_digit() || b"+-.e".contains(&byte)) =>
        {
            digits
                .parse()
                .map_err(|_| format!("{digits:?} is no number"))
        }
        other => Err(format!("{other:?} is no number")),
    }
}
