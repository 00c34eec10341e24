package remit.authz

# METADATA
# title: No task
# description: The token says for no task that the agent acts.
# custom:
#   reason_code: task_missing
denials contains "task_missing" if {
	not session_housekeeping
	not task_present
}

# METADATA
# title: Operation outside the task
# description: The operation is not among those that the task was given.
# custom:
#   reason_code: operation_outside_task
denials contains "operation_outside_task" if {
	task_applies
	operation_governed
	not operation_in_task
}

# METADATA
# title: Resource outside the task
# description: The task names its locations and the resource is in none of them.
# custom:
#   reason_code: resource_outside_task
denials contains "resource_outside_task" if {
	task_applies
	operation_governed
	not resource_in_task
}

task_applies if {
	not session_housekeeping
	task_present
}

task_present if is_object(input.remit.delegation.task)

operation_in_task if {
	is_array(input.remit.delegation.task.actions)
	input.remit.action.operation in input.remit.delegation.task.actions
}

# An empty list is not the same as no list: it names no place at all.
resource_in_task if object.get(input.remit.delegation.task, "locations", null) == null

resource_in_task if {
	is_array(input.remit.delegation.task.locations)
	some location in input.remit.delegation.task.locations
	location_covers(location, input.remit.action.resource.name)
}

location_covers(location, name) if {
	location == name
	is_string(name)
	name != ""
}

# `thread/*` covers everything below `thread/`, and nothing that steps out of it again.
location_covers(location, name) if {
	is_string(location)
	is_string(name)
	endswith(location, "/*")
	startswith(name, trim_suffix(location, "*"))
	every segment in split(name, "/") {
		not segment in {"", ".", ".."}
	}
}
