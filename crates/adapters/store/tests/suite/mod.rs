//! The conformance suite: what every adapter must do, written once against the port. An adapter's test
//! file implements [`Bed`] and calls [`conformance!`]. Must not know an engine.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "test code outside of test functions; a case tells a whole story"
)]

pub mod adversary;
pub mod documents;
pub mod erasure;
pub mod figures;
pub mod kill;
pub mod ledgers;
pub mod looks;
pub mod oracle;
pub mod positions;
pub mod records;
pub mod reindexing;
pub mod searches;
pub mod snapshots;
pub mod source;
pub mod tenancy;
pub mod trees;
pub mod world;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store::Store;

use world::World;

/// Somewhere an adapter keeps its data while a test runs.
#[async_trait]
pub trait Bed: Send {
    /// Opens the adapter over the bed's data, for the first time or again. `window` is the access window.
    async fn open(&mut self, world: &World, window: Duration) -> Arc<dyn Store>;
}

/// A window long enough to be one and short enough not to be waited for.
pub const WINDOW: Duration = Duration::from_millis(20);

/// Makes one test per case; `$bed` is an expression that gives a fresh [`Bed`], and may return early.
#[macro_export]
macro_rules! conformance {
    ($bed:expr) => {
        $crate::conformance!(@ $bed,
            records::first_versions_updates_and_deletions,
            records::histories_page_newest_first,
            records::pages_end_early_when_bodies_are_large,
            records::heads_that_moved_are_refused,
            records::a_unit_is_stored_whole_or_not_at_all,
            records::parallel_conditional_creates_make_one,
            records::a_guard_sees_what_was_committed,
            records::everything_is_there_after_opening_again,
            records::clocks_may_jump_by_a_year,
            records::large_and_odd_bodies_come_back_exactly,
            reindexing::entries_are_replaced_for_the_current_version_alone,
            searches::every_kind_finds_what_it_should,
            searches::references_by_bare_id_are_many_keys,
            searches::sorts_page_through_everything_once,
            searches::orders_of_several_types_are_one,
            searches::what_would_walk_too_much_is_refused_before,
            searches::pages_are_stable_while_others_write,
            searches::totals_count_all_pages,
            searches::an_update_moves_and_a_deletion_removes,
            searches::words_are_found_where_they_stand,
            searches::two_numbers_of_a_tuple_are_compared_together,
            searches::an_explanation_says_what_drives_and_no_value,
            searches::narrowing_to_a_compartment_and_an_organisation,
            searches::one_resource_stands_for_each_value_in_use,
            positions::positions_are_found_across_antimeridian_and_poles,
            positions::hierarchies_are_followed_and_circles_end,
            positions::phrases_are_words_side_by_side,
            oracle::random_searches_answer_as_the_naive_evaluator,
            trees::random_trees_answer_as_the_naive_evaluator,
            snapshots::a_snapshot_is_what_was_current_at_its_moment,
            snapshots::a_snapshot_stays_while_others_write,
            snapshots::nothing_passes_a_fence_late,
            documents::versions_look_ups_and_pages,
            documents::governed_kinds_need_an_entry,
            ledgers::entries_pair_with_versions_and_verify,
            ledgers::tiles_and_proofs_agree,
            ledgers::entries_about_a_patient,
            looks::a_window_moves_looks_into_the_log,
            looks::strict_looks_are_there_at_once,
            looks::looks_survive_opening_again,
            erasure::a_patients_content_goes_and_the_ledger_stays_sound,
            figures::figures_tell_what_happened,
            tenancy::twins_never_meet,
            tenancy::unknown_tenants_are_unknown,
        );
    };
    (@ $bed:expr, $($module:ident :: $case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let mut bed = $bed;
                suite::$module::$case(&mut bed).await;
            }
        )*
    };
}

/// Makes one test per attack; `$hand` is an expression that gives a fresh [`adversary::Hand`], and may return early.
#[macro_export]
macro_rules! adversary {
    ($hand:expr) => {
        $crate::adversary!(@ $hand,
            an_untouched_store_is_sound,
            edits_are_found,
            edits_of_a_long_log_are_found,
            a_log_cut_short_is_found,
            a_checkpoint_of_a_stranger_is_not_trusted,
            an_older_backup_in_place_of_the_store_is_found,
            a_fork_is_found_by_the_head_file_and_by_whoever_kept_a_checkpoint,
            swapped_tenants_are_found,
            an_erased_patient_is_no_finding,
        );
    };
    (@ $hand:expr, $($case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let mut hand = $hand;
                suite::adversary::$case(&mut hand).await;
            }
        )*
    };
}
