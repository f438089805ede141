package element_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

func TestHeadsAreReadAsTheFormatHasThem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data string
		want element.Head
		err  error
	}{
		"one byte each":      {"\xEC\x81x", element.Head{element.IDVoid, 1, 2}, nil},
		"four and eight":     {"\x1F\x43\xB6\x75\x01\x00\x00\x00\x00\x00\x01\x00", element.Head{element.IDCluster, 256, 12}, nil},
		"unknown, one byte":  {"\x18\x53\x80\x67\xFF", element.Head{element.IDSegment, element.Unknown, 5}, nil},
		"unknown, eight":     {"\x18\x53\x80\x67\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF", element.Head{element.IDSegment, element.Unknown, 12}, nil},
		"nearly 2^56":        {"\xEC\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFE", element.Head{element.IDVoid, 1<<56 - 2, 9}, nil},
		"a size of nothing":  {"\xEC\x80", element.Head{element.IDVoid, 0, 2}, nil},
		"nothing":            {"", element.Head{}, element.ErrShort},
		"an ID alone":        {"\x1F\x43\xB6\x75", element.Head{}, element.ErrShort},
		"an ID cut off":      {"\x1F\x43", element.Head{}, element.ErrShort},
		"a size cut off":     {"\xEC\x40", element.Head{}, element.ErrShort},
		"an ID of five":      {"\x08\x00\x00\x00\x00\x81", element.Head{}, element.ErrNoID},
		"an ID of zeros":     {"\x00\x81", element.Head{}, element.ErrNoID},
		"a size of nine":     {"\xEC\x00\x00", element.Head{}, element.ErrNoSize},
		"no size behind one": {"\x42\x86\x00", element.Head{}, element.ErrNoSize},
	} {
		if got, err := element.ParseHead([]byte(c.data)); got != c.want && c.err == nil || !errors.Is(err, c.err) {
			t.Errorf("%s: %+v %v, want %+v %v", name, got, err, c.want, c.err)
		}
	}
}

func TestVoidIsOfTheSizeThatIsAskedFor(t *testing.T) {
	t.Parallel()
	for _, total := range []int{2, 14, 120, 128} {
		got := element.Append([]byte("x"), &struct{ Void []byte }{element.VoidOf(total)})
		want := append([]byte{'x', element.IDVoid, 0x80 | byte(total-2)}, make([]byte, total-2)...)
		if !bytes.Equal(got, want) {
			t.Errorf("%d: % x", total, got)
		}
	}
}
