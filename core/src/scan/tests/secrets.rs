//! Secrets. None is or was a real one.

use super::*;

#[test]
fn private_key() {
    const BODY: &str = "MC4CAQAwBQYDK2VwBCIEIHkC1mN0o4Qv4ZtVQq3mWl2r9d8sJ7kXyzAbCdEfGhIj";
    let block =
        |label: &str| format!(">>>-----BEGIN {label}-----\n{BODY}\n-----END {label}-----<<<");
    let cases = [
        block("PRIVATE KEY"),
        block("RSA PRIVATE KEY"),
        block("EC PRIVATE KEY"),
        block("OPENSSH PRIVATE KEY"),
        block("ENCRYPTED PRIVATE KEY"),
        block("PGP PRIVATE KEY BLOCK"),
        format!("key: {}\nthen text", block("DSA PRIVATE KEY")),
        // As it stands in JSON, and cut off.
        format!("\">>>-----BEGIN PRIVATE KEY-----\\n{BODY}\\n-----END PRIVATE KEY-----<<<\\n\""),
        format!(">>>-----BEGIN PRIVATE KEY-----\n{BODY}<<<"),
        format!(
            ">>>-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n{BODY}\n-----END RSA PRIVATE KEY-----<<<"
        ),
    ];
    assert_found("private_key", &cases.each_ref().map(String::as_str));
    assert_clean(&[
        "-----BEGIN PRIVATE KEY-----",
        "the file starts with -----BEGIN RSA PRIVATE KEY----- and ends with -----END RSA PRIVATE KEY-----",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUO5r0Zk7xkq6pX5h0\n-----END CERTIFICATE-----",
        "-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "BEGIN PRIVATE KEY",
        "----- private key -----",
    ]);
}

#[test]
fn tokens_with_prefixes() {
    assert_found(
        "aws_access_key_id",
        &[
            ">>>AK~IAIOSFODNN7EXAMPLE<<<",
            ">>>AS~IAY34FZKBOKMUTVV7A<<<",
            "aws_access_key_id = >>>AK~IA2OGYBAH6QK3NVR5D<<<",
            "key >>>AB~IA2OGYBAH6QK3NVR5D<<<.",
            ">>>AC~CA2OGYBAH6QK3NVR5D<<<",
            "(>>>A3~TX2OGYBAH6QK3NVR5D<<<)",
            "\">>>AK~IA2OGYBAH6QK3NVR5D<<<\"",
            "id:>>>AK~IA2OGYBAH6QK3NVR5D<<<:x",
        ],
    );
    assert_found(
        "aws_secret_key",
        &[
            "aws_secret_access_key = >>>wJalrXUtnFEMI/K7MDENG/bPxRfiCYEX~AMPLEKEY<<<",
            "AWS_SECRET_ACCESS_KEY=>>>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzz9~8QLEKEY<<<",
            "SecretAccessKey: >>>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzz9~8QLEKEY<<<",
            "\"SecretAccessKey\": \">>>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzz9~8QLEKEY<<<\"",
            "aws secret >>>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzz9~8QLEKEY<<<",
            "aws secret key: >>>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzz9~8QLEKEY<<<",
            "secret access key is >>>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzz9~8QLEKEY<<<",
            "aws.secret.key=>>>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzz9~8QLEKEY<<<",
        ],
    );
    assert_found(
        "github_token",
        &[
            ">>>gh~p_1234567890abcdefghijklmnopqrstuvwxAB<<<",
            ">>>gh~o_1234567890abcdefghijklmnopqrstuvwxAB<<<",
            ">>>gh~u_1234567890abcdefghijklmnopqrstuvwxAB<<<",
            ">>>gh~s_1234567890abcdefghijklmnopqrstuvwxAB<<<",
            ">>>gh~r_1234567890abcdefghijklmnopqrstuvwxAB<<<",
            ">>>github_~pat_11AAAAAAA0aBcDeFgHiJkL_1234567890abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVW<<<",
            "https://>>>gh~p_1234567890abcdefghijklmnopqrstuvwxAB<<<@github.com/o/r",
            "GITHUB_TOKEN=>>>gh~p_1234567890abcdefghijklmnopqrstuvwxAB<<<",
        ],
    );
    assert_found(
        "gitlab_token",
        &[
            ">>>gl~pat-z_sxgtrfAxKr8q1TPY8Y<<<",
            ">>>gl~dt-abcDEF1234567890_-xY<<<",
            ">>>gl~rt-abcDEF1234567890_-xY<<<",
            ">>>gl~cbt-64_abcDEF1234567890_x<<<",
            ">>>gl~ptt-abcDEF1234567890abcDEF1234567890abcdef12<<<",
            ">>>gl~ft-abcDEF1234567890_-xY<<<",
            ">>>gl~soat-abcDEF1234567890_-xY<<<",
            ">>>gl~pat-abcDEF1234567890abcDEF12345.01.0w1a2b3c4<<<",
        ],
    );
    assert_found(
        "slack_token",
        &[
            ">>>xo~xb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx<<<",
            ">>>xo~xp-123456789012-123456789012-123456789012-abcdef0123456789abcdef0123456789<<<",
            ">>>xo~xa-2-123456789012-abcdefABCDEF<<<",
            ">>>xo~xr-123456789012-abcdefABCDEF<<<",
            ">>>xo~xs-123456789012-abcdefABCDEF<<<",
            ">>>xo~xo-123456789012-abcdefABCDEF<<<",
            ">>>xo~xe.xoxp-1-Mi0yLTEyMzQ1Njc4OTAxMi0<<<",
            ">>>xa~pp-1-A0123456789-1234567890123-abcdef0123456789<<<",
        ],
    );
    assert_found(
        "stripe_key",
        &[
            ">>>sk~_live_4eC39HqLyjWDarjtT1zdp7dc<<<",
            ">>>sk~_test_4eC39HqLyjWDarjtT1zdp7dc<<<",
            ">>>rk~_live_4eC39HqLyjWDarjtT1zdp7dc<<<",
            ">>>rk~_test_4eC39HqLyjWDarjtT1zdp7dc<<<",
            "STRIPE_KEY=>>>sk~_live_51HqLyjWDarjtT1zdp7dc4eC39<<<",
            "key: >>>sk~_prod_4eC39HqLyjWDarjtT1zdp7dc<<<,",
            ">>>wh~sec_1234567890abcdefGHIJKLMNOPQRSTUV<<<",
            "`>>>sk~_test_4eC39HqLyjWDarjtT1zdp7dc<<<`",
        ],
    );
    assert_found(
        "sk_api_key",
        &[
            ">>>sk-~proj-Ab3dEf6hIj9lMn2pQr5tUv8xYz1<<<",
            ">>>sk-~ab12CD34ef56GH78ij90KL12mn34OP56qr78ST90uv12WX34<<<",
            ">>>sk-~ant-api03-Ab3dEf6hIj9lMn2pQr5tUv8x<<<",
            ">>>sk-~or-v1-0123456789abcdef0123456789abcdef<<<",
            "key=>>>sk-~svcacct-Ab3dEf6hIj9lMn2pQr5tUv8x<<<",
            "export API_KEY='>>>sk-~Ab3dEf6hIj9lMn2pQr5tUv8xYz1<<<'",
            "Bearer >>>sk-~Ab3dEf6hIj9lMn2pQr5tUv8xYz1<<<",
            "the key is >>>sk-~Ab3dEf6hIj9lMn2pQr5tUv8xYz1<<<.",
        ],
    );
    for (kind, text) in [
        ("google_api_key", "AI~zaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY"),
        (
            "google_client_secret",
            "GO~CSPX-4eC39HqLyjWDarjtT1zdp7dc_-ab",
        ),
        ("npm_token", "np~m_1234567890abcdefghijklmnopqrstuvwxAB"),
        (
            "pypi_token",
            "py~pi-AgEIcHlwaS5vcmcCJDEyMzQ1Njc4LTEyMzQtMTIzNC0xMjM0LTEyMzQ1Njc4OTAxMg",
        ),
        (
            "sendgrid_key",
            "S~G.ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc-1s5cr",
        ),
        (
            "slack_webhook",
            "hooks.sla~ck.com/services/T00000000/B00000000/XyZXyZXyZ123XyZXyZXyZ456",
        ),
    ] {
        let text = plain(text);
        for (before, after) in [
            ("", ""),
            ("key ", "."),
            ("(", ")"),
            ("\"", "\""),
            ("https://x.y/?k=", "&b=c"),
            ("\n", "\n"),
            ("k=", ";"),
            ("`", "`"),
        ] {
            let text = format!("{before}{text}{after}");
            let kinds: Vec<_> = scan(&text).iter().map(|finding| finding.kind).collect();
            assert_eq!(kinds, [kind], "in {text:?}");
        }
    }
    assert_clean(&[
        "AKIA is the prefix of access keys",
        "AKIA1234",
        "xAK~IA2OGYBAH6QK3NVR5D",
        "aws_secret_access_key = ${AWS_SECRET}",
        "aws secret rotation in us-east-1",
        "gh~p_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "ghp_short",
        "glpat-short",
        "glad-to-see-that-this-works-well",
        "xoxb-",
        "pk~_live_4eC39HqLyjWDarjtT1zdp7dc",
        "sk_test_",
        "AIza is how Google keys begin",
        "the class sk-fading-circle-container-outer",
        "sk-learn-pipelines-with-column-transformers",
        "task-1234567890abcdef1234567890",
        "risk-based-authentication-for-all-users",
        "npm_config_registry",
        "SG.com and SG.1",
        "hooks.slack.com is the host",
        "pypi-mirror",
    ]);
}

#[test]
fn jwt() {
    const HEADER: &str = "eyJ~hbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
    const CLAIMS: &str = "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0";
    const SIGNATURE: &str = "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
    let cases = [
        format!(">>>{HEADER}.{CLAIMS}.{SIGNATURE}<<<"),
        format!("Authorization: Bearer >>>{HEADER}.{CLAIMS}.{SIGNATURE}<<<"),
        format!("token=>>>{HEADER}.{CLAIMS}.{SIGNATURE}<<<&x=1"),
        format!("\">>>{HEADER}.{CLAIMS}.{SIGNATURE}<<<\""),
        format!("cookie: session=>>>{HEADER}.{CLAIMS}.{SIGNATURE}<<<;"),
        // Unsigned: {"alg":"none"}.
        format!(">>>eyJ~hbGciOiJub25lIn0.{CLAIMS}.<<<"),
        // Encrypted: {"alg":"RSA-OAEP","enc":"A256GCM"}.
        ">>>eyJ~hbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.OKOawDo13gRp.48V1_ALb6US04U3b.5eym8TW_c8SuK0lt.XFBoMYUZodetZdvT<<<".to_owned(),
        format!("(>>>{HEADER}.{CLAIMS}.{SIGNATURE}<<<)"),
    ];
    assert_found("jwt", &cases.each_ref().map(String::as_str));
    assert_clean(&[
        "eyJ~hbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
        "eyJ~hbGciOiJIUzI1NiJ9.only-two",
        // {"typ":"JWT"}: names no algorithm.
        "eyJ~0eXAiOiJKV1QifQ.eyJzdWIiOiIxIn0.c2ln",
        // Not JSON.
        "eyJ~hbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ.eyJzdWIiOiIxIn0.c2ln",
        "eyJAAAAAAAAAAAA.BBBB.CCCC",
        "the prefix eyJ stands for an object",
        "keyJoin.someTable.otherTable",
        "heyJude.song.mp3",
    ]);
}

#[test]
fn connection_string() {
    assert_found(
        "connection_string",
        &[
            ">>>postgres://app:s3cr~et@db.example.com:5432/app<<<",
            ">>>postgresql://u:p@host/db?sslmode=require<<<",
            "DATABASE_URL=>>>mysql://root:hunter2@10.0.0.5/x<<<",
            ">>>redis://:Zk9vWq@cache:6379/0<<<",
            ">>>mongodb+srv://admin:p%40ss@cluster0.mongodb.net<<<.",
            ">>>amqp://user:pa$$@rabbit:5672<<<",
            "\">>>https://bob:tr0ub4dor@example.com/path<<<\"",
            ">>>ftp://user:p@ss:word@files.example.com/a<<<, then",
            ">>>postgres://user:pass@localhost/db<<<",
            "jdbc:>>>postgresql://u:Zk9vWq@h:5432/d<<<)",
        ],
    );
    assert_confidence(
        Confidence::Medium,
        &["postgres://user:password@localhost/db"],
    );
    assert_clean(&[
        "postgres://localhost/db",
        "postgres://user@localhost/db",
        "postgres://${USER}:${PASSWORD}@host/db",
        "postgres://user:<password>@host/db",
        "postgres://user:*****@host/db",
        "https://example.com:8080/@scope/pkg",
        "http://localhost:3000/a@b",
        "https://x.y/?mail=a:b",
        "see https://example.com: it is @bob",
        "redis://cache:6379",
        "postgres://user:{{ password }}@host/db",
    ]);
}

#[test]
fn password() {
    assert_found(
        "password",
        &[
            "password=>>>hunter2<<<",
            "password: >>>Tr0ub4dor&3<<<",
            "DB_PASSWORD=>>>Zk9vWq!x<<<",
            "\"password\": \">>>s3cr~etValue<<<\"",
            "{\\\"password\\\": \\\">>>Zk9vWqx1<<<\\\"}",
            "passwd = '>>>Zk9vWqx1<<<'",
            "pwd:>>>482913<<<",
            "my wifi password is >>>Sunflower42!<<<",
            "Das Passwort lautet >>>Sonne2024x<<<.",
            "mot de passe : >>>Soleil33x<<<",
            "contrase\u{f1}a: >>>Sol99luna<<<",
            "Server=db;Password=>>>Zk9vWqx1<<<;Database=x",
            "?user=bob&password=>>>Zk9&vWqx1<<<&x=1",
            "the passphrase was changed to >>>Zk9vWqx1<<<",
            "spring.datasource.password=>>>SuperSecret123!<<<",
        ],
    );
    assert_clean(&[
        "password=changeme",
        "password: <your-password>",
        "password=${DB_PASSWORD}",
        "password=$DB_PASSWORD",
        "password: {{ vault_password }}",
        "password=xxxxxxxx",
        "password: ********",
        "password: required",
        "the password is stored in the vault",
        "password: at least 8 characters",
        "password=get_password(user1)",
        "password = os.environ['DB_PASS1']",
        "password=settings.DB_PASSWORD2",
        "password = config.db.password",
        "password: see-section-4",
        "password hashing: argon2id",
        "password: bcrypt, password: sha256",
        "the password is 12 characters long",
        "password=12345678",
        "password policy: min 12",
        "reset the password 2 days ago",
        "password: /run/secrets/db_1",
        "password: https://vault.example.com/p1",
        "password rotated on 2024-05-17",
        "pwd: /home/user1/project2",
        "password=",
        "password=%DB_PASS%",
        "password: n/a",
        "pub pw_passwd: *const c_char,",
    ]);
}

#[test]
fn secret_value() {
    assert_found(
        "secret_value",
        &[
            "api_key=>>>4f9a1c77e2b08d3356aa91ef<<<",
            "api_key: >>>550e8400-e29b-41d4-a716-446655440000<<<",
            "\"apiKey\": \">>>AbCd1234EfGh5678IjKl<<<\"",
            "client_secret=>>>q8Zr2vXk1Lm<<<",
            "token = '>>>AbCd1234EfGh5678IjKl<<<'",
            "ACCESS_KEY=>>>AbCd1234EfGh5678IjKl<<<",
            "the api key is >>>AbCd1234EfGh5678IjKl<<<.",
            "SECRET_KEY_BASE=>>>4f9a1c77e2b08d3356aa91ef4f9a1c77e2b08d3356aa91ef<<<",
            "signing-key => >>>AbCd1234EfGh5678IjKl<<<",
            "https://x.y/?access_token=>>>AbCd1234EfGh5678IjKl<<<&z=1",
            "credentials: >>>svc9:Zk2vWqx1<<<",
            "license key: >>>ABCD-1234-EFGH-5678<<<",
        ],
    );
    assert_found(
        "authorization",
        &[
            "Authorization: Bearer >>>AbCd1234EfGh5678IjKl<<<",
            "authorization: bearer >>>AbCd1234EfGh5678IjKl<<<",
            "-H 'Authorization: Bearer >>>AbCd1234EfGh5678IjKl<<<'",
            "\"Authorization\": \"Bearer >>>AbCd1234EfGh5678IjKl<<<\"",
            "Bearer >>>mF_9.B5f-4.1JqM1234<<<",
            "Authorization: Basic >>>QWxhZGRpbjpvcGVuIHNlc2FtZTE=<<<",
            "\"Authorization\": \"Basic >>>dXNlcjE6cGFzczEyMw==<<<\"",
            "Proxy-Authorization: Basic >>>dXNlcjE6cGFzczEyMw==<<<",
        ],
    );
    assert_clean(&[
        "api_key=<your-api-key-here-1234>",
        "api_key=YOUR_API_KEY_1234567",
        "token: ${TOKEN}",
        "token=xxxxxxxxxxxxxxxxxxxx",
        "max_tokens: 128000",
        "tokens used: 1234567890123456",
        "token: access_token_v2_of_the_user",
        "token budget is 4096",
        "the secret of success is persistence",
        "secret: none",
        "api key rotation is monthly",
        "key: value",
        "primary key: id",
        "public_key: AbCd1234EfGh5678IjKl",
        "commit 3f2a9c1e4b5d6f708192a3b4c5d6e7f8091a2b3c",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "bearer of bad news",
        "Bearer authentication is used",
        "Bearer ${ACCESS_TOKEN_1234567}",
        "token: process.env.API_TOKEN_V2",
        "token = request.headers['x-token-1']",
        "secret: 0000000000000001",
        "Token::U8(uuid_bytes[15])",
        "let encryption_key = &derived_key[0..key_length];",
        "colon_token: syn::Token![:](Span::call_site2()),",
        "api_key = abcdefghijklmnop",
        "basic knowledge of authorization",
    ]);
}
