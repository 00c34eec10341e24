package red_team.authz

# What an agent has read talks it into.

# METADATA
# title: Meaning unknown
# description: Nobody has said what the request does; a text may have named the tool.
# custom:
#   reason_code: meaning_unknown
violations contains "meaning_unknown" if not understood

# METADATA
# title: Left to the server
# description: An argument that says what the action reaches is missing, so that the server chooses.
# custom:
#   reason_code: left_to_server
violations contains "left_to_server" if {
	not housekeeping
	not fully_said
}

# METADATA
# title: Not asked for
# description: The task does not name the operation.
# custom:
#   reason_code: not_asked_for
violations contains "not_asked_for" if {
	not housekeeping
	not asked_for
}

# METADATA
# title: Elsewhere
# description: The task names its places, and what the action reaches is in none of them.
# custom:
#   reason_code: elsewhere
violations contains "elsewhere" if {
	not housekeeping
	not in_its_place
}

# METADATA
# title: Told to others
# description: It reaches people other than the one who asked, or an audience, and nobody has approved that.
# custom:
#   reason_code: told_to_others
violations contains "told_to_others" if {
	not housekeeping
	not told_to_asker
	not approved_by_another
}

# METADATA
# title: For good
# description: It deletes, runs something, or cannot be taken back, and nobody has approved that.
# custom:
#   reason_code: for_good
violations contains "for_good" if {
	not housekeeping
	not taken_back
	not approved_by_another
}

understood if {
	input.remit.action.classified == true
	not input.remit.action.verb in {"", "unknown"}
}

fully_said if input.remit.action.missing == []

asked_for if input.remit.action.operation in input.remit.delegation.task.actions

in_its_place if object.get(input.remit.delegation, ["task", "locations"], null) == null

in_its_place if {
	some place in input.remit.delegation.task.locations
	covers(place, input.remit.action.resource.name)
}

covers(place, name) if place == name

# `box/*` covers what is below `box/`, and no way out of it.
covers(place, name) if {
	endswith(place, "/*")
	startswith(name, trim_suffix(place, "*"))
	every segment in split(name, "/") {
		not segment in {"", ".", ".."}
	}
}

told_to_asker if {
	input.remit.action.effects.visibility in {"private", "internal"}
	input.remit.action.verb != "publish"
	every counterparty in input.remit.action.counterparties {
		counterparty.value in askers
	}
}

askers contains input.remit.delegation.principal.sub

askers contains input.remit.delegation.task.requested_by

taken_back if input.remit.action.effects.side_effect == false

taken_back if {
	input.remit.action.effects.reversible == true
	not input.remit.action.verb in {"delete", "execute"}
}

# Telling the one who asked is what it is for.
taken_back if input.remit.action.verb == "answer"
