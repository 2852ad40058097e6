//! What a store is made with, and whether an existing one is what a caller asks for.

use super::embedder::Embedder;
use super::open::Store;
use crate::pg::error::{Error, Result};
use crate::pg::spi::{self, Planning};
use crate::pg::system;

/// What a store is made with.
#[derive(Clone, Debug)]
pub struct Parameters {
    pub dimensions: i32,
    pub embedder: Embedder,
    pub text_search_config: String,
    pub hnsw_m: i32,
    pub hnsw_ef_construction: i32,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            dimensions: 384,
            embedder: Embedder::Hash,
            text_search_config: "english".to_owned(),
            hnsw_m: 16,
            hnsw_ef_construction: 64,
        }
    }
}

/// What the caller of memory_init asks for; what is left out is the default, or whatever an existing store has.
#[derive(Default)]
pub struct Wish {
    pub dimensions: Option<i32>,
    pub embedder: Option<String>,
    pub text_search_config: Option<String>,
    pub hnsw_m: Option<i32>,
    pub hnsw_ef_construction: Option<i32>,
}

impl Wish {
    pub fn parameters(self) -> Result<Parameters> {
        let default = Parameters::default();
        let mut parameters = Parameters {
            dimensions: self.dimensions.unwrap_or(default.dimensions),
            embedder: self
                .embedder
                .as_deref()
                .map_or(Ok(default.embedder), Embedder::named)?,
            text_search_config: self
                .text_search_config
                .unwrap_or(default.text_search_config),
            hnsw_m: self.hnsw_m.unwrap_or(default.hnsw_m),
            hnsw_ef_construction: self
                .hnsw_ef_construction
                .unwrap_or(default.hnsw_ef_construction),
        };
        within("dimensions", parameters.dimensions, 1, 2000)?;
        check_hnsw("hnsw_", parameters.hnsw_m, parameters.hnsw_ef_construction)?;
        let Some(config) = system::text_search_config(&parameters.text_search_config) else {
            return Err(Error::argument(format!(
                "unknown text search configuration {:?}",
                parameters.text_search_config
            ))
            .hint("SELECT cfgname FROM pg_ts_config lists them."));
        };
        // The caller's search path found it; from now on its name has to be enough.
        parameters.text_search_config = system::qualified_config_name(config);
        Ok(parameters)
    }

    /// An existing store has to be what is asked for.
    pub fn agree(&self, store: &Store) -> Result<()> {
        let differs = |what: &str, asked: String, is: String| -> Result<()> {
            if asked == is {
                return Ok(());
            }
            Err(Error::argument(format!("the store exists with {what} {is}, but {asked} was asked for"))
                .hint("Leave the argument out to use the store as it is; another model needs a new store."))
        };
        if let Some(dimensions) = self.dimensions {
            differs(
                "dimensions",
                dimensions.to_string(),
                store.dimensions.to_string(),
            )?;
        }
        if let Some(embedder) = &self.embedder {
            differs(
                "embedder",
                Embedder::named(embedder)?.name().to_owned(),
                store.embedder.name().to_owned(),
            )?;
        }
        if let Some(config) = &self.text_search_config {
            let asked = system::text_search_config(config);
            if asked != Some(store.config) {
                differs(
                    "text_search_config",
                    config.clone(),
                    store.text_search_config.clone(),
                )?;
            }
        }
        if self.hnsw_m.is_some() || self.hnsw_ef_construction.is_some() {
            let (m, ef) = hnsw_options(store);
            if let Some(asked) = self.hnsw_m {
                differs("hnsw_m", asked.to_string(), m)?;
            }
            if let Some(asked) = self.hnsw_ef_construction {
                differs("hnsw_ef_construction", asked.to_string(), ef)?;
            }
        }
        Ok(())
    }
}

/// The parameters of the vector index, whose arguments have this prefix.
pub fn check_hnsw(prefix: &str, m: i32, ef_construction: i32) -> Result<()> {
    within(&format!("{prefix}m"), m, 2, 100)?;
    let name = format!("{prefix}ef_construction");
    within(&name, ef_construction, 4, 1000)?;
    if ef_construction < 2 * m {
        return Err(Error::argument(format!(
            "{name} is {ef_construction}, expected at least twice {prefix}m, which is {m}"
        )));
    }
    Ok(())
}

pub fn within(argument: &str, value: i32, least: i32, most: i32) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::argument(format!(
        "{argument} is {value}, expected a number from {least} to {most}"
    )))
}

/// m and ef_construction of the vector index, the default ones where it is not there.
pub fn hnsw_options(store: &Store) -> (String, String) {
    let _owner = store.as_owner();
    spi::connect(|session| {
        let sql = "SELECT max(o.option_value) FILTER (WHERE o.option_name = 'm'), max(o.option_value) FILTER (WHERE o.option_name = 'ef_construction')
                   FROM pg_class c, pg_options_to_table(c.reloptions) o WHERE c.relname = 'ix_memories_embedding_hnsw' AND c.relnamespace = $1";
        let rows = session.read(
            sql,
            Planning::Auto,
            &[spi::Arg::oid(store.identity.schema_oid)],
        );
        (
            rows.get(0, 1).unwrap_or_else(|| "16".to_owned()),
            rows.get(0, 2).unwrap_or_else(|| "64".to_owned()),
        )
    })
}
