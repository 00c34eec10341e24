# METADATA
# title: What the tests of this folder are about
package conventions

default allow := false

allow if {
	input.amount <= data.limits.most
	input.currency == "EUR"
}

allow if input.role == "admin"

fee(amount) := 0 if {
	amount < 10
} else := 1 if {
	amount < 100
} else := 2

never if {
	input.nothing
	not input.anything
}
