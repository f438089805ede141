package still_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia/still"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// TestWhoseFaultItIs runs programs that end as ffmpeg may: only what it says of the picture is a fault of the picture.
func TestWhoseFaultItIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script  string
		image   string
		machine bool
	}{
		"an image":                     {"printf image", "image", false},
		"the picture is broken":        {"exit 1", "", false},
		"there is no such picture":     {"exit 0", "", false},
		"an image too large":           {"head -c 40000000 /dev/zero", "", false},
		"killed, as for lack of space": {"printf ima; kill -KILL $$", "", true},
		"not there":                    {"", "", true},
		"read only after it has ended": {"(sleep 1.5; printf e) & printf imag", "image", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := filepath.Join(t.TempDir(), "ffmpeg")
			if c.script != "" {
				testtools.WriteProgram(t, program, []byte("#!/bin/sh\n"+c.script+"\n"), 0o700)
			}
			image, err := still.Make(t.Context(), program, make([]byte, 1<<20), 0, still.Form{})
			if string(image) != c.image || (err != nil) != (c.image == "") || errors.Is(err, still.ErrMachine) != c.machine {
				t.Errorf("the image is %.20q, the error %v", image, err)
			}
		})
	}
}
