package remit.authz_test

task(claims) := changed({"delegation": {"task": claims}})

named(resource) := acting({"resource": {"name": resource}})

within := allowed(["within_remit"])

outside := denied(["resource_outside_task"])

test_task if failures({
	"none": {"asked": without("remit/delegation/task"), "expect": denied(["task_missing"])},
	"null": {
		"asked": replaced("remit/delegation/task", {"remit": {"delegation": {"task": null}}}),
		"expect": denied(["task_missing"]),
	},
	"its end is the filter's to hold": {"asked": task({"expires": 1}), "expect": within},
	"other operations": {"asked": task({"actions": ["note.read"]}), "expect": denied(["operation_outside_task"])},
	"no operations": {"asked": task({"actions": []}), "expect": denied(["operation_outside_task"])},
	"operations as text": {"asked": task({"actions": "note.write"}), "expect": denied(["operation_outside_task"])},
	"operations as an object": {
		"asked": task({"actions": {"a": "note.write"}}),
		"expect": denied(["operation_outside_task"]),
	},
}) == set()

test_locations if failures({
	"exact": {"asked": named("note/n-1"), "expect": within},
	"another": {"asked": named("note/n-2"), "expect": outside},
	"longer than the exact one": {"asked": named("note/n-11"), "expect": outside},
	"below the exact one": {"asked": named("note/n-1/secret"), "expect": outside},
	"other case": {"asked": named("Note/n-1"), "expect": outside},
	"below a prefix": {"asked": named("shelf/s-1/b-2"), "expect": within},
	"far below a prefix": {"asked": named("shelf/s-1/b-2/p-3"), "expect": within},
	"the prefix itself": {"asked": named("shelf/s-1"), "expect": outside},
	"the prefix and nothing": {"asked": named("shelf/s-1/"), "expect": outside},
	"longer than the prefix": {"asked": named("shelf/s-11/b-2"), "expect": outside},
	"the pattern as a name": {"asked": named("shelf/s-1/*"), "expect": within},
	"out of a prefix again": {"asked": named("shelf/s-1/../s-2"), "expect": outside},
	"by a dot": {"asked": named("shelf/s-1/./b-2"), "expect": outside},
	"by nothing": {"asked": named("shelf/s-1//b-2"), "expect": outside},
	"no resource": {"asked": without("remit/action/resource"), "expect": outside},
	"empty name": {"asked": named(""), "expect": outside},
	"name of another type": {"asked": named(["note/n-1"]), "expect": outside},
	"no locations": {"asked": without("remit/delegation/task/locations"), "expect": within},
	"null locations": {"asked": task({"locations": null}), "expect": within},
	"empty locations": {"asked": task({"locations": []}), "expect": outside},
	"locations as text": {"asked": task({"locations": "note/n-1"}), "expect": outside},
	"locations as an object": {"asked": task({"locations": {"a": "note/n-1"}}), "expect": outside},
	"locations of another type": {"asked": task({"locations": [null, 1, ["note/n-1"]]}), "expect": outside},
	"an empty location": {
		"asked": also(task({"locations": [""]}), {"action": {"resource": {"name": ""}}}),
		"expect": outside,
	},
	"a star alone": {"asked": task({"locations": ["*"]}), "expect": outside},
	"a slash and a star": {"asked": task({"locations": ["/*"]}), "expect": outside},
	"a star inside": {"asked": task({"locations": ["*/n-1"]}), "expect": outside},
}) == set()
