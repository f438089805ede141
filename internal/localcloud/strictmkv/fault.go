package strictmkv

import (
	"errors"
	"fmt"
	"io"
)

// Kinds of violations that a server answers differently; test with errors.Is.
var (
	ErrTooManyTracks = errors.New("more tracks than allowed")
	ErrUnknownTrack  = errors.New("a block names a track that Tracks does not describe")
)

// Error says which rule of Matroska the input breaks, and where.
type Error struct {
	Element string // name of the element, as RFC 9559 spells it
	Offset  int64  // of the element's first byte in the input
	Rule    string // the rule that was broken
	err     error  // one of the kinds above, io.ErrUnexpectedEOF, or nil
}

// Error names the element, where it is, and the rule.
func (e *Error) Error() string {
	return fmt.Sprintf("%s at byte %d: %s", e.Element, e.Offset, e.Rule)
}

// Unwrap returns the kind of the violation: ErrTooManyTracks, ErrUnknownTrack, or
// io.ErrUnexpectedEOF when the input ends inside an element.
func (e *Error) Unwrap() error { return e.err }

func broken(element id, offset int64, format string, args ...any) *Error {
	return &Error{Element: element.String(), Offset: offset, Rule: fmt.Sprintf(format, args...)}
}

func torn(element id, offset int64) *Error {
	e := broken(element, offset, "the input ends inside it")
	e.err = io.ErrUnexpectedEOF
	return e
}
