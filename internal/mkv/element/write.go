package element

import (
	"bytes"
	"fmt"

	"github.com/at-wat/ebml-go"
)

// Append appends the elements for the fields of the struct at v, in their order, according to the ebml tags of the fields.
// It panics when there is no such element, or the field's type does not match: only a programming error causes that.
func Append(dst []byte, v any) []byte {
	b := bytes.NewBuffer(dst)
	if err := ebml.Marshal(v, b); err != nil {
		panic(fmt.Sprintf("element: %T: %v", v, err))
	}
	return b.Bytes()
}

// VoidOf returns the content of a Void element that has total bytes with its head, 2 to 128.
func VoidOf(total int) []byte {
	const head, most = 2, 128 // a size field of one byte
	if total > most {
		panic(fmt.Sprintf("element: a Void of %d bytes", total))
	}
	return make([]byte, total-head)
}
