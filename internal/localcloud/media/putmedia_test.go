package media

import (
	"testing"
)

func TestAFragmentIsAcknowledgedWhileTheBodyGoesOn(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	p := c.open(t)
	p.write(streamHead())
	for i := range int64(3) {
		p.write(second(epoch + i*1000))
		p.expect(stored(epoch + i*1000)...) // before the next fragment begins
	}
	p.body.Close()
	if rest := p.rest(); len(rest) != 0 || p.err != nil {
		t.Errorf("after the end of the body: %v, %v", rest, p.err)
	}
	if got := c.Fragments("cam"); len(got) != 3 || got[1].Producer.UnixMilli() != epoch+1000 || got[1].Frames != 25 {
		t.Errorf("stored %+v", got)
	}
}
