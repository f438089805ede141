// Package still owns how a picture of a video becomes an image: by ffmpeg, if this machine has it. It must not know where the video
// comes from.
package still

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// Form is how an image is to be.
type Form struct {
	PNG           bool // JPEG otherwise
	Quality       int  // of JPEG, 1 to 100
	Width, Height int  // pixels; 0 = as the video is
}

// ErrNoProgram is the error where ffmpeg is not installed.
var ErrNoProgram = errors.New("ffmpeg is not installed")

// ErrMachine is the error where this machine is why there is no image: the picture may be well.
var ErrMachine = errors.New("this machine made no image")

// Program finds ffmpeg.
func Program() (path string, err error) {
	if path, err = exec.LookPath("ffmpeg"); err != nil {
		return "", ErrNoProgram
	}
	return path, nil
}

// patience bounds how long one image takes.
const patience = time.Minute

// most bounds an image, in bytes.
const most = 32 << 20

// Make returns the image of one picture of a video in fragmented MP4: that with an index in the order of presentation. Errors but those
// that wrap ErrMachine are ffmpeg's verdict on the picture.
func Make(ctx context.Context, program string, video []byte, index int, form Form) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	filter := fmt.Sprintf(`select=eq(n\,%d)`, index)
	if form.Width > 0 {
		filter += fmt.Sprintf(",scale=%d:%d", form.Width, form.Height)
	}
	args := []string{"-nostdin", "-v", "error", "-protocol_whitelist", "pipe", "-threads", "1", "-f", "mov", "-i", "pipe:0", "-map", "0:v:0",
		"-vf", filter, "-vsync", "passthrough", "-frames:v", "1", "-f", "image2pipe"}
	if form.PNG {
		args = append(args, "-c:v", "png")
	} else {
		args = append(args, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", fmt.Sprint(scaleOf(form.Quality)))
	}
	command := exec.CommandContext(ctx, program, append(args, "pipe:1")...)
	command.WaitDelay = patience // on a slow machine an image may be read long after ffmpeg has ended
	command.Stdin = bytes.NewReader(video)
	var out bounded
	command.Stdout = &out
	err := command.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w: ffmpeg takes too long", ErrMachine)
	case out.full:
		return nil, errTooLarge
	case errors.As(err, &exit) && exit.Exited():
		return nil, fmt.Errorf("ffmpeg: %w", err)
	case err != nil: // it was not started, or killed, or its image was not read
		return nil, fmt.Errorf("%w: ffmpeg: %w", ErrMachine, err)
	case out.kept.Len() == 0:
		return nil, errors.New("ffmpeg made no image: the picture cannot be decoded")
	}
	return out.kept.Bytes(), nil
}

// scaleOf is a quality as ffmpeg has it: 2 is its best one and 31 its worst.
func scaleOf(quality int) int { return 2 + (100-quality)*29/99 }

var errTooLarge = errors.New("the image is too large")

// bounded keeps what is written, up to most. It has no other methods of a buffer, by which a copy would go past the bound.
type bounded struct {
	kept bytes.Buffer
	full bool // more was written
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.full = b.full || b.kept.Len()+len(p) > most; b.full {
		return 0, errTooLarge
	}
	return b.kept.Write(p)
}
