package remit.authz_test

lifetime(seconds) := changed({"token": {"lifetime_seconds": seconds}})

over_cap := denied(["token_lifetime_over_cap"])

test_lifetime if failures({
	"at the cap": {"asked": lifetime(900), "expect": allowed(["within_remit"])},
	"over the cap": {"asked": lifetime(901), "expect": over_cap},
	"by a fraction": {"asked": lifetime(900.5), "expect": over_cap},
	"zero": {"asked": lifetime(0), "expect": over_cap},
	"negative": {"asked": lifetime(-600), "expect": over_cap},
	"null, which Rego orders before numbers": {"asked": lifetime(null), "expect": over_cap},
	"a boolean, likewise": {"asked": lifetime(true), "expect": over_cap},
	"text": {"asked": lifetime("600"), "expect": over_cap},
	"unknown": {"asked": without("remit/token/lifetime_seconds"), "expect": over_cap},
}) == set()

test_cap_is_the_operators if {
	decided_with(request, object.union(settings, {"max_lifetime_seconds": 300}), registry) == over_cap
	decided_with(request, object.union(settings, {"max_lifetime_seconds": "900"}), registry) == over_cap
}
