# METADATA
# title: Interpreted
# description: A rule with a construct that the bytecode lacks, so that the interpreter evaluates the whole policy.
package remit.authz

denials contains "operation_empty" if {
	input.remit.action.operation == "" with input.remit.mode as "enforce"
}
