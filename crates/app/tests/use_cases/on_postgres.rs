//! The same tests as on SQLite, on a real PostgreSQL: export and import, subscriptions, terminology,
//! profiles and a tenant's own search parameters. What the store promises alike has its own suite; these
//! hold the use-cases above it to the other store.

use crate::house::on_postgres;

mod bulk {
    use super::on_postgres;
    use crate::bulk as tests;

    #[test]
    fn a_block_that_was_loaded_before_a_crash_is_not_loaded_over_what_came_since() {
        on_postgres(
            tests::a_block_that_was_loaded_before_a_crash_is_not_loaded_over_what_came_since,
        );
    }
    #[test]
    fn whoever_goes_on_with_an_export_writes_over_no_file_of_the_one_before() {
        on_postgres(tests::whoever_goes_on_with_an_export_writes_over_no_file_of_the_one_before);
    }
    #[test]
    fn no_copy_outlives_an_erasure_whatever_process_ends_before_it_is_through() {
        on_postgres(tests::no_copy_outlives_an_erasure_whatever_process_ends_before_it_is_through);
    }
}

mod cds_hooks {
    use super::on_postgres;
    use crate::cds_hooks as tests;

    #[test]
    fn a_call_is_repeated_to_the_same_bytes_whatever_became_of_the_record() {
        on_postgres(tests::a_call_is_repeated_to_the_same_bytes_whatever_became_of_the_record);
    }
    #[test]
    fn calls_are_listed_for_auditors_newest_first_and_go_after_their_time() {
        on_postgres(tests::calls_are_listed_for_auditors_newest_first_and_go_after_their_time);
    }
    #[test]
    fn what_became_of_cards_is_in_the_report_on_overrides() {
        on_postgres(tests::what_became_of_cards_is_in_the_report_on_overrides);
    }
    #[test]
    fn what_is_kept_of_calls_goes_with_an_erased_patient() {
        on_postgres(tests::what_is_kept_of_calls_goes_with_an_erased_patient);
    }
}

mod subscriptions {
    use super::on_postgres;
    use crate::subscriptions as tests;

    #[test]
    fn a_payload_is_the_stored_resource_and_a_look_by_the_subscription() {
        on_postgres(tests::a_payload_is_the_stored_resource_and_a_look_by_the_subscription);
    }
    #[test]
    fn twins_and_the_erased_are_not_delivered() {
        on_postgres(tests::twins_and_the_erased_are_not_delivered);
    }
    #[test]
    fn criteria_that_the_store_refuses_end_one_subscription_and_hold_up_no_other() {
        on_postgres(
            tests::criteria_that_the_store_refuses_end_one_subscription_and_hold_up_no_other,
        );
    }
    #[test]
    fn what_was_overtaken_is_told_where_it_cannot_be_judged_any_more() {
        on_postgres(tests::what_was_overtaken_is_told_where_it_cannot_be_judged_any_more);
    }
}

mod resuming {
    use super::on_postgres;
    use crate::resuming as tests;

    #[test]
    fn what_changes_while_it_is_given_up_is_told_in_order_when_it_goes_on() {
        on_postgres(tests::what_changes_while_it_is_given_up_is_told_in_order_when_it_goes_on);
    }
    #[test]
    fn what_is_too_old_to_be_told_is_said() {
        on_postgres(tests::what_is_too_old_to_be_told_is_said);
    }
    #[test]
    fn a_slow_receiver_is_waited_for_in_the_ledger() {
        on_postgres(tests::a_slow_receiver_is_waited_for_in_the_ledger);
    }
    #[test]
    fn two_replicas_catch_up_once() {
        on_postgres(tests::two_replicas_catch_up_once);
    }
}

mod topics {
    use super::on_postgres;
    use crate::topics as tests;

    #[test]
    fn a_topic_begins_with_a_handshake_and_notifies_with_bundles() {
        on_postgres(tests::a_topic_begins_with_a_handshake_and_notifies_with_bundles);
    }
    #[test]
    fn fhirpath_compares_what_was_with_what_is() {
        on_postgres(tests::fhirpath_compares_what_was_with_what_is);
    }
}

mod terminology {
    use super::on_postgres;
    use crate::terminology as tests;

    #[test]
    fn stored_value_sets_are_expanded_and_searched_by() {
        on_postgres(tests::stored_value_sets_are_expanded_and_searched_by);
    }
    #[test]
    fn a_change_is_seen_here_at_once_and_elsewhere_within_seconds() {
        on_postgres(tests::a_change_is_seen_here_at_once_and_elsewhere_within_seconds);
    }
    #[test]
    fn what_was_slow_to_be_committed_is_seen_too() {
        on_postgres(tests::what_was_slow_to_be_committed_is_seen_too);
    }
    #[test]
    fn an_operator_installs_for_every_tenant_and_each_process() {
        on_postgres(tests::an_operator_installs_for_every_tenant_and_each_process);
    }
}

mod validation {
    use super::on_postgres;
    use crate::validation as tests;

    #[test]
    fn a_profile_that_was_slow_to_be_committed_is_in_force_elsewhere_too() {
        on_postgres(tests::a_profile_that_was_slow_to_be_committed_is_in_force_elsewhere_too);
    }
    #[test]
    fn a_tenants_own_profile_is_in_force_at_once_and_only_there() {
        on_postgres(tests::a_tenants_own_profile_is_in_force_at_once_and_only_there);
    }
    #[test]
    fn writes_are_held_to_profiles_as_the_tenant_says() {
        on_postgres(tests::writes_are_held_to_profiles_as_the_tenant_says);
    }
    #[test]
    fn packages_are_installed_for_every_tenant_replaced_and_removed() {
        on_postgres(tests::packages_are_installed_for_every_tenant_replaced_and_removed);
    }
}

mod search_parameters {
    use super::on_postgres;
    use crate::search_parameters as tests;

    #[test]
    fn a_parameter_finds_everything_or_is_not_offered() {
        on_postgres(tests::a_parameter_finds_everything_or_is_not_offered);
    }
    #[test]
    fn a_reference_parameter_of_ones_own_includes_both_ways() {
        on_postgres(tests::a_reference_parameter_of_ones_own_includes_both_ways);
    }
    #[test]
    fn what_could_not_be_evaluated_is_named_in_answers() {
        on_postgres(tests::what_could_not_be_evaluated_is_named_in_answers);
    }
    #[test]
    fn an_older_index_is_built_anew_and_never_answers_with_less() {
        on_postgres(tests::an_older_index_is_built_anew_and_never_answers_with_less);
    }
    #[test]
    fn a_type_is_indexed_anew_on_order_by_those_who_may() {
        on_postgres(tests::a_type_is_indexed_anew_on_order_by_those_who_may);
    }
}

mod remote_imports {
    use super::on_postgres;
    use crate::remote_imports as tests;

    #[test]
    fn another_replica_goes_on_where_one_was_stopped() {
        on_postgres(tests::another_replica_goes_on_where_one_was_stopped);
    }
}
