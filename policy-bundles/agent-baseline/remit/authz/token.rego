package remit.authz

# METADATA
# title: Token lifetime over the cap
# description: The token was issued for longer than a task-bound credential may live.
# custom:
#   reason_code: token_lifetime_over_cap
denials contains "token_lifetime_over_cap" if not lifetime_within_cap

# Numbers only: Rego orders values of different types, and null would count as a short lifetime.
lifetime_within_cap if {
	lifetime := input.remit.token.lifetime_seconds
	is_number(lifetime)
	cap := data.remit.settings.max_lifetime_seconds
	is_number(cap)
	lifetime > 0
	lifetime <= cap
}
