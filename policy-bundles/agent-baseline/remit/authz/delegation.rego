package remit.authz

# METADATA
# title: No delegation
# description: The token names no actor, so the agent cannot be told from the person behind it.
# custom:
#   reason_code: delegation_missing
denials contains "delegation_missing" if not delegation_present

# METADATA
# title: Principal is not human
# description: The chain does not begin with a person.
# custom:
#   reason_code: principal_not_human
denials contains "principal_not_human" if not principal_human

delegation_present if {
	is_string(input.remit.delegation.actor.iss)
	input.remit.delegation.actor.iss != ""
	is_string(input.remit.delegation.actor.sub)
	input.remit.delegation.actor.sub != ""
}

principal_human if {
	input.remit.delegation.principal.kind == "human"
	is_string(input.remit.delegation.principal.sub)
	input.remit.delegation.principal.sub != ""
}

some_text(value) if {
	is_string(value)
	value != ""
}

unset(claims, key) if {
	is_object(claims)
	object.get(claims, key, null) == null
}
