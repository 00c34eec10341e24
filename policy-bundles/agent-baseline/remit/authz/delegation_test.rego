package remit.authz_test

principal(kind) := changed({"delegation": {"principal": {"kind": kind}}})

not_human := denied(["principal_not_human"])

no_delegation := denied(["agent_unregistered", "delegation_missing"])

test_delegation if failures({
	"service": {"asked": principal("service"), "expect": not_human},
	"agent": {"asked": principal("agent"), "expect": not_human},
	"unknown": {"asked": principal("unknown"), "expect": not_human},
	"no kind": {"asked": without("remit/delegation/principal/kind"), "expect": not_human},
	"no name": {"asked": changed({"delegation": {"principal": {"sub": ""}}}), "expect": not_human},
	"no principal": {"asked": without("remit/delegation/principal"), "expect": not_human},
	"no actor": {"asked": without("remit/delegation/actor"), "expect": no_delegation},
	"actor without issuer": {"asked": without("remit/delegation/actor/iss"), "expect": no_delegation},
	"actor without name": {"asked": changed({"delegation": {"actor": {"sub": ""}}}), "expect": no_delegation},
}) == set()
