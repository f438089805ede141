package scheduler

import "fmt"

// ParseError says where an expression is wrong and by which rule.
type ParseError struct {
	Expression string
	// Field is the name of the field, "hours" for example. Empty when the whole expression is meant.
	Field string
	// Position is where the wrong text begins, in characters counted from 1. 0 when no place can be named.
	Position int
	// Text is what is wrong as it was written. Empty when something is missing.
	Text string
	// Rule is what would be right.
	Rule string
}

// Error gives one sentence: `hours "25" (character 5): hours must be 0 to 23`.
func (e *ParseError) Error() string {
	switch {
	case e.Field == "":
		return e.Rule
	case e.Text == "":
		return fmt.Sprintf("%s (character %d): %s", e.Field, e.Position, e.Rule)
	default:
		return fmt.Sprintf("%s %q (character %d): %s", e.Field, e.Text, e.Position, e.Rule)
	}
}
