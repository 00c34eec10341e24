package remit.authz

# METADATA
# title: Publishes
# description: The action publishes, or others see it than those whom the operator calls contained.
# custom:
#   reason_code: publishes
cautions contains "publishes" if publication

# METADATA
# title: Grants access
# description: The action changes who may do or see what.
# custom:
#   reason_code: grants_access
cautions contains "grants_access" if privilege_change

# METADATA
# title: Deletes
# description: The action deletes.
# custom:
#   reason_code: deletes
cautions contains "deletes" if verb_held("delete")

# METADATA
# title: Pays
# description: The action moves or commits money.
# custom:
#   reason_code: pays
cautions contains "pays" if payment

# METADATA
# title: Executes
# description: The action runs something whose effects the catalog cannot know.
# custom:
#   reason_code: executes
cautions contains "executes" if verb_held("execute")

# METADATA
# title: Irreversible
# description: The action changes something and cannot be taken back.
# custom:
#   reason_code: irreversible
cautions contains "irreversible" if {
	verb_free
	not takes_back
}

# METADATA
# title: Answers others
# description: A private answer that goes to someone other than the person who asked.
# custom:
#   reason_code: answers_others
cautions contains "answers_others" if {
	input.remit.action.verb == "answer"
	not answers_requester
}

free_of_approval if {
	verb_free
	count(cautions) == 0
}

# Without the operator's list no verb is free.
verb_free if {
	verb := input.remit.action.verb
	held := data.remit.settings.verbs_needing_approval
	is_array(held)
	not verb in held
}

verb_held(verb) if {
	input.remit.action.verb == verb
	not verb_free
}

publication if verb_held("publish")

publication if not audience_contained

privilege_change if verb_held("grant")

privilege_change if not privilege_untouched

payment if verb_held("pay")

payment if not money_untouched

audience_contained if {
	is_array(data.remit.settings.contained_visibility)
	input.remit.action.effects.visibility in data.remit.settings.contained_visibility
	audience_fits_verb
}

# An answer is for one person: what a whole organisation can read is a publication.
audience_fits_verb if input.remit.action.effects.visibility == "private"

audience_fits_verb if input.remit.action.verb != "answer"

privilege_untouched if input.remit.action.effects.privilege == false

money_untouched if input.remit.action.effects.money == false

takes_back if input.remit.action.effects.side_effect == false

takes_back if input.remit.action.effects.reversible == true

# Telling the person who asked is what the agent is for, though it cannot be untold.
takes_back if input.remit.action.verb == "answer"

answers_requester if {
	is_array(input.remit.action.counterparties)
	every counterparty in input.remit.action.counterparties {
		some_text(counterparty.value)
		counterparty.value in requesters
	}
}

requesters contains input.remit.delegation.principal.sub

requesters contains input.remit.delegation.task.requested_by

approval_given if {
	some_text(input.remit.approval.approver.sub)
	approver_is_another
}

# Dual control: whoever the agent acts for does not approve what it does, under whatever issuer.
approver_is_another if data.remit.settings.dual_control == false

approver_is_another if {
	some_text(input.remit.delegation.principal.sub)
	input.remit.approval.approver.sub != input.remit.delegation.principal.sub
}
