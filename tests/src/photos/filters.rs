//! The filters of a search.

use serde::Deserialize;
use time::OffsetDateTime;

use super::answers::Refusal;
use super::library::Item;

/// The most dates, and the most ranges of dates.
const DATES: usize = 5;

/// All of them must hold.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Filters {
    date_filter: DateFilter,
    content_filter: ContentFilter,
    media_type_filter: MediaTypeFilter,
    feature_filter: FeatureFilter,
    include_archived_media: bool,
    // Nothing else is seen anyway.
    #[serde(rename = "excludeNonAppCreatedData")]
    _exclude_others: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct DateFilter {
    dates: Vec<Date>,
    ranges: Vec<Range>,
}

/// Zero is any.
#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields, default)]
struct Date {
    year: i32,
    month: u8,
    day: u8,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Range {
    start_date: Date,
    end_date: Date,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ContentFilter {
    included_content_categories: Vec<String>,
    #[serde(rename = "excludedContentCategories")]
    _excluded: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct MediaTypeFilter {
    media_types: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct FeatureFilter {
    included_features: Vec<String>,
}

impl Filters {
    /// Refuses what Google refuses.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.date_filter.dates.len() > DATES || self.date_filter.ranges.len() > DATES {
            return Err(Refusal::invalid(format!("A date filter has at most {DATES} of each.")));
        }
        let known = |values: &[String], known: &[&str], field: &str| match values
            .iter()
            .find(|value| !known.contains(&value.as_str()))
        {
            Some(value) => {
                Err(Refusal::invalid(format!("Invalid value at '{field}', \"{value}\"")))
            }
            None => Ok(()),
        };
        let types = &self.media_type_filter.media_types;
        if types.len() > 1 {
            return Err(Refusal::invalid("Only one media type can be asked for."));
        }
        known(types, &["ALL_MEDIA", "PHOTO", "VIDEO"], "filters.media_type_filter.media_types")?;
        let features = &self.feature_filter.included_features;
        known(features, &["NONE", "FAVORITES"], "filters.feature_filter.included_features")
    }

    /// Whether an item is asked for.
    pub fn take(&self, item: &Item) -> bool {
        let media_type = match self.media_type_filter.media_types.first().map(String::as_str) {
            Some("PHOTO") => !item.is_video(),
            Some("VIDEO") => item.is_video(),
            _ => true,
        };
        let favourites = self.feature_filter.included_features.iter().any(|it| it == "FAVORITES");
        // Nothing is known of what the photos show.
        let content = &self.content_filter.included_content_categories;
        (self.include_archived_media || !item.archived)
            && (!favourites || item.favourite)
            && media_type
            && content.iter().all(|category| category == "NONE")
            && self.date_filter.takes(item.created)
    }
}

impl DateFilter {
    fn takes(&self, created: OffsetDateTime) -> bool {
        let date = Date { year: created.year(), month: created.month().into(), day: created.day() };
        let any = self.dates.is_empty() && self.ranges.is_empty();
        any || self.dates.iter().any(|wanted| wanted.takes(date))
            || self.ranges.iter().any(|range| range.start_date <= date && date <= range.end_date)
    }
}

impl Date {
    fn takes(self, date: Self) -> bool {
        (self.year == 0 || self.year == date.year)
            && (self.month == 0 || self.month == date.month)
            && (self.day == 0 || self.day == date.day)
    }
}
