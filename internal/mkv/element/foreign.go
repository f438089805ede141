package element

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/at-wat/ebml-go"
)

// The limits of what Unmarshal passes to ebml-go, in addition to sizes: it makes a list of all strings between zeros, of 16
// bytes for each byte, and a struct of some 300 bytes of a track of 2.
const (
	maxElements = 10_000
	maxString   = 4 << 10
	maxNumber   = 8 // bytes
)

// The errors of Unmarshal, in addition to those of ParseHead.
var (
	ErrPastParent = errors.New("an element reaches past its parent")
	ErrTooMany    = fmt.Errorf("more than %d elements", maxElements)
)

// Unmarshal reads an element that another program wrote, whose content is complete, into the struct at v, whose fields have
// ebml-go's tags. ebml-go allocates the size that an element states, before it reads it, so that each size within the
// content is first compared with what is left of its parent. Elements that v has no field for, known to ebml-go or not, are
// ignored: in content they become Void elements.
func Unmarshal(h Head, content []byte, v any) error {
	if h.Size != int64(len(content)) {
		return ErrPastParent
	}
	limit := limit{left: maxElements}
	if err := limit.check(content, placesOf(reflect.TypeOf(v).Elem())[h.ID].inside); err != nil {
		return err
	}
	return ebml.Unmarshal(io.MultiReader(bytes.NewReader(wideHead(h)), bytes.NewReader(content)), v)
}

// wideHead is a head with a size field of 8 bytes.
func wideHead(h Head) []byte {
	id := bytes.TrimLeft(binary.BigEndian.AppendUint32(nil, h.ID), "\x00")
	return binary.BigEndian.AppendUint64(id, Size8(h.Size))
}

// place is a field of a struct for an element.
type place struct {
	kind   ebml.DataType
	inside map[uint32]place // by ID, of a master element
}

// placesOf returns, by ID, the elements for which a struct, or the structs of a list, have fields.
func placesOf(t reflect.Type) map[uint32]place {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	places := make(map[uint32]place)
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("ebml"), ",")
		if name == "" {
			name = field.Name
		}
		known, err := ebml.ElementTypeFromString(name)
		if err != nil {
			panic(fmt.Sprintf("element: %s: %v", t, err))
		}
		p := place{kind: known.DataType()}
		if p.kind == ebml.DataTypeMaster {
			p.inside = placesOf(field.Type)
		}
		places[uint32(Number(known.Bytes()))] = p
	}
	return places
}

// limit bounds what is passed to ebml-go.
type limit struct{ left int } // of elements

// check compares each size in data with what is left of its parent. An element that has no place, or a size that its kind
// cannot have, becomes a Void element.
func (l *limit) check(data []byte, places map[uint32]place) error {
	for len(data) > 0 {
		h, err := ParseHead(data)
		if err != nil {
			return err
		}
		if h.Size == Unknown || h.Size > int64(len(data)-h.Len) {
			return ErrPastParent
		}
		if l.left--; l.left < 0 {
			return ErrTooMany
		}
		whole := data[:h.Len+int(h.Size)]
		p, known := places[h.ID]
		switch {
		case !known || !p.fits(h.Size):
			putVoid(whole, h.Len)
		case p.kind == ebml.DataTypeMaster:
			if err := l.check(whole[h.Len:], p.inside); err != nil {
				return err
			}
		}
		data = data[len(whole):]
	}
	return nil
}

// fits reports whether an element of that kind may have that size.
func (p place) fits(size int64) bool {
	switch p.kind {
	case ebml.DataTypeMaster, ebml.DataTypeBinary:
		return true
	case ebml.DataTypeUInt:
		return size <= maxNumber
	case ebml.DataTypeFloat:
		return size == 4 || size == 8 // an empty one has its default, as one that is missing has
	case ebml.DataTypeString:
		return size <= maxString
	}
	return false
}

// putVoid replaces an element whose head has that many bytes by a Void element of the same size.
func putVoid(whole []byte, head int) {
	const widest = 1 + 8
	head = min(head, widest)
	size := uint64(len(whole)-head) | 1<<(7*(head-1))
	whole[0] = IDVoid
	for i := head - 1; i > 0; i-- {
		whole[i] = byte(size)
		size >>= 8
	}
}
