//! Personal data.

use super::*;

#[test]
fn email() {
    assert_found(
        "email",
        &[
            ">>>alice@example.com<<<",
            "Contact: >>>bob.smith+news@mail.example.co.uk<<<.",
            "<>>>x_y-z%1@sub.domain.museum<<<>",
            "mailto:>>>support@example.org<<<?subject=hi",
            "sent to >>>Alice.O-Neil@EXAMPLE.COM<<<, then nothing",
            ">>>j@d.io<<<",
            "\"quoted\" >>>m\u{fc}ller@b\u{fc}cher.example<<< wrote",
            "user@localhost is fine, >>>user@host.local.net<<< is found",
            "pr\u{e9}nom:>>>a.b@xn--bcher-kva.xn--p1ai<<<",
            "(reply to: >>>team@example.com<<<)",
        ],
    );
    assert_clean(&[
        "git clone git@github.com:org/repo.git",
        "ssh://git@example.com/repo",
        "https://user@example.com/path",
        "icon@2x.png is 40 px",
        "npm install @scope/pkg@1.2.3",
        "getty@tty1.service failed",
        "the @app.route decorator",
        "meet @ 10.30",
        "user@host",
        "a@b",
        "@everyone: look",
        "foo@.com and @example.com and foo@-bar.com",
        "image@sha256:0f1e2d",
        "x@y..com",
    ]);
}

#[test]
fn phone() {
    assert_found(
        "phone",
        &[
            ">>>+49 30 901820<<<",
            ">>>+1 (415) 555-2671<<<",
            "tel:>>>+1-201-555-0123<<<",
            "London: >>>+44 20 7946 0958<<<.",
            ">>>+4915112345678<<<",
            ">>>+49 (0) 30 901820<<<",
            ">>>+33 1 23 45 67 89<<<",
            "ring >>>0044 20 7946 0958<<< now",
            "his number, >>>(415) 555-2671<<<, works",
            ">>>415-555-2671<<<",
            "call >>>555-123-4567<<<",
            ">>>+1-555-123-4567<<<",
            ">>>415.555.2671<<< is the desk",
            ">>>1-800-555-0199<<<",
            ">>>030 901820<<<",
            "B\u{fc}ro >>>030/901820<<<",
            ">>>0170 1234567<<< after six",
            ">>>07700 900123<<<",
            ">>>020 7946 0958<<<",
            ">>>01 23 45 67 89<<< \u{e0} Paris",
            ">>>(11) 91234-5678<<<",
            "phone: >>>555-0199<<<",
            "call me at >>>415 555 2671<<<",
            "her phone number is >>>4155552671<<<",
            "Telefonnummer >>>901820 17<<<",
            "tel\u{e9}fono >>>912 345 678<<<",
            ">>>+41 44 668 18 00<<<x12",
        ],
    );
    assert_confidence(Confidence::High, &["+49 30 901820", "mobile 0170 1234567"]);
    assert_confidence(Confidence::Medium, &["0170 1234567", "415-555-2671"]);
    assert_clean(&[
        "meeting 2024-05-17 10:30",
        "17.05.2024 10:30",
        "05/17/2024",
        "2024-05-17T10:30:00+02:00",
        "version 10.15.7.1234",
        "order 4155552671",
        "Order 030 1234567 was shipped",
        "invoice no. 0170 1234567",
        "ticket #4155552671",
        "id=4155552671",
        "550e8400-e29b-41d4-a716-446655440000",
        "12345678-1234-1234-1234-123456789012",
        "ISBN 978-3-16-148410-0",
        "ISBN 0-306-40615-2",
        "0000-0002-1825-0097",
        "1,234,567,890 rows",
        "took 1234567890 ns",
        "epoch 1700000000",
        "$415.555.2671",
        "+1 point, +100 points, +20000 in total",
        "+20231212 and +1234567",
        "+999999-12-31 23:59:59",
        "UTC+5, GMT+0200",
        "192.168.100.200",
        "IPs 10.0.0.1 10.0.0.2",
        "the range 100-200-3000",
        "lottery 01 02 03 04 05",
        "phone call on 2024-05-17",
        "called 3 times in 2023",
        "my phone has 128 GB and 8 GB RAM",
        "3.14159265358979",
        "page 123-456",
        "/var/log/030/901820",
        "a/b/415-555-2671/c",
        "sha 4155552671abcdef",
        "x_415-555-2671",
        "coordinates 52.5200 13.4050",
    ]);
}

#[test]
fn credit_card() {
    assert_found(
        "credit_card",
        &[
            ">>>4111 1111 1111 1111<<<",
            ">>>4111-1111-1111-1111<<<",
            "card >>>4111111111111111<<<",
            "paid with >>>5555 5555 5555 4444<<< yesterday",
            ">>>378282246310005<<<",
            "amex >>>3714 496353 98431<<<",
            ">>>6011 1111 1111 1117<<<",
            ">>>3530111333300000<<<",
            ">>>2223 0031 2200 3222<<<",
            "diners card >>>3056 930902 5904<<<",
            "credit card: >>>6200000000000005<<<, exp 12/27",
            "qty 3 >>>4012 8888 8888 1881<<<",
        ],
    );
    assert_confidence(Confidence::Medium, &["4111111111111111"]);
    assert_confidence(
        Confidence::High,
        &["visa 4111111111111111", "4111 1111 1111 1111"],
    );
    assert_clean(&[
        "4111 1111 1111 1112",
        "4111111111111112",
        "order 1234567890123456",
        "1700000000000000",
        "9999 9999 9999 9995",
        "snowflake 1790217349264113664",
        "EAN 4006381333931",
        "a4111111111111111",
        "4111111111111111.5",
        "0.4111111111111111",
        "4111111111111111abc",
        "0000 0000 0000 0000",
        "2024 0517 1030 0000",
    ]);
}

#[test]
fn iban() {
    assert_found(
        "iban",
        &[
            ">>>DE89370400440532013000<<<",
            ">>>DE89 3704 0044 0532 0130 00<<<",
            "IBAN: >>>GB29 NWBK 6016 1331 9268 19<<<, BIC NWBKGB2L",
            ">>>FR1420041010050500013M02606<<<",
            ">>>es91 2100 0418 4502 0005 1332<<<",
            ">>>NO93 8601 1117 947<<<",
            ">>>MT84MALT011000012345MTLCAST001S<<<",
            "pay to >>>CH93 0076 2011 6238 5295 7<<< by Friday",
            "(>>>NL91 ABNA 0417 1643 00<<<)",
            ">>>BE68 5390 0754 7034<<< BANK",
        ],
    );
    assert_clean(&[
        "DE88370400440532013000",
        "DE8937040044053201300",
        "XX89370400440532013000",
        "ADE89370400440532013000",
        "DE893704004405320130001",
        "GB29 NWBK 6016 1331 9268 18",
        "model AB12 CDEF GHIJ",
        "SKU DE12-3456-7890",
        "GB29  NWBK  6016  1331  9268  19",
    ]);
}

#[test]
fn us_ssn() {
    assert_found(
        "us_ssn",
        &[
            ">>>123-45-6789<<<",
            "SSN >>>123-45-6789<<<",
            "ssn: >>>123456789<<<",
            "social security number >>>123 45 6789<<<",
            "His Social Security no. is >>>536-90-4399<<<.",
            "(>>>219-09-9998<<<)",
            ">>>001-01-0001<<<",
            "ssn=>>>899-99-9999<<<",
        ],
    );
    assert_confidence(Confidence::Medium, &["123-45-6789"]);
    assert_confidence(Confidence::High, &["ssn 123-45-6789"]);
    assert_clean(&[
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "123-00-4567",
        "123-45-0000",
        "078-05-1120",
        "123456789",
        "123 45 6789",
        "1123-45-6789",
        "123-45-67890",
        "part A-123-45-6789",
        "123-45-6789-00",
    ]);
}

#[test]
fn ip_address() {
    assert_found(
        "ip_address",
        &[
            "dns >>>9.9.9.9<<<",
            "login from >>>93.184.216.34<<<",
            "https://>>>93.184.216.34<<</index",
            ">>>93.184.216.34<<<:8080",
            ">>>172.32.0.1<<<",
            "server >>>2606:4700:4700::1111<<<",
            ">>>2a00:1450:4001:82b::200e<<<",
            "[~>>>2001:4860:4860::8888<<<~]:53",
            "ip=>>>100.128.0.1<<<",
            "at >>>2a03:2880:f12f:83:face:b00c:0:25de<<<: down",
        ],
    );
    assert_confidence(Confidence::High, &["ping 8.8.8.8", "93.184.216.34/24"]);
    assert_confidence(Confidence::Medium, &["it was 93.184.216.34"]);
    assert_clean(&[
        "version 1.2.3.4",
        "v1.2.3.4",
        "upgraded the driver to 12.4.1.8",
        ">= 1.2.3.4",
        "release 4.12.0.3",
        "127.0.0.1",
        "192.168.1.20 and 10.0.0.1 and 172.16.5.4",
        "169.254.169.254",
        "0.0.0.0 and 255.255.255.255",
        "100.64.0.1",
        "203.0.113.7",
        "256.1.1.1",
        "1.2.3",
        "1.3.6.1.4.1.311",
        "see 4.2.1.10",
        "RFC 5280 section 4.1.2.2",
        "an example from 2.6.1.3",
        "1.2.3.4-beta",
        "Chrome 120.0.6099.109",
        "01.02.03.04",
        "::1",
        "fe80::1ff:fe23:4567:890a",
        "fd12:3456:789a::1",
        "2001:db8::8a2e:370:7334",
        "std::vector and a::b and Foo::Bar::baz",
        "10:30:45",
        "00:1a:2b:3c:4d:5e",
        "2024::decade",
        "id::int, 2000::bigint",
    ]);
}

#[test]
fn passport() {
    assert_found(
        "passport",
        &[
            "passport number: >>>123456789<<<",
            "passport >>>C01X00T47<<<",
            "Passport no. >>>L01234567<<< expires 2030",
            "Reisepass >>>C01X00T47<<<",
            "Reisepassnummer: >>>C01234567<<<",
            "passeport n\u{b0} >>>12AB34567<<<",
            "pasaporte >>>AAA123456<<<",
            "passports: >>>E12345678<<<",
            "my US passport is >>>987654321<<<",
            "passport (Canada) >>>AB123456<<<",
        ],
    );
    assert_confidence(Confidence::High, &["passport no 123456789"]);
    assert_confidence(Confidence::Medium, &["passport C01X00T47"]);
    assert_clean(&[
        "passport expires 2030-05-17",
        "passport renewed 20240517",
        "passport.js v0.6",
        "the passport is in the drawer",
        "C01X00T47",
        "passport\nC01X00T47",
        "passport photo 35x45 mm",
        "passport application abcdefgh",
        "passport control at gate 12345678901",
        "compassport 123456789",
    ]);
}
