package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/script"
)

func newFakecamCommand() *cobra.Command {
	var o fakecamOptions
	cmd := &cobra.Command{
		Use:   "fakecam",
		Short: "Run a fake RTSP camera, to try things out without a camera",
		Long: `Runs a camera that plays a film in a loop until it is stopped, and prints its URL. Each frame
carries a counter, in a message beside the picture and as black and white blocks in its top row, so that
what was recorded can be compared with what was sent; the command stamps does so.

The camera can imitate the faults of real cameras: see --list-oddities. With --like a file says what it answers
and which packets it sends, so that any camera can be played: see --list-like.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.listenGiven = cmd.Flags().Changed("listen")
			if o.listOddities {
				return listOddities(cmd.OutOrStdout())
			}
			if o.listLike {
				_, err := io.WriteString(cmd.OutOrStdout(), script.Help())
				return err
			}
			return runFakecam(cmd.Context(), cmd.OutOrStdout(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.listen, "listen", fakecamAddress, "address to listen on; without the flag any free port when that one is taken")
	flags.StringVar(&o.user, "user", "", "user name that the camera asks for (default: it asks for none)")
	flags.StringVar(&o.password, "password", "", "password of the user")
	flags.StringVar(&o.passwordFile, "password-file", "", "file with the password")
	flags.StringVar(&o.size, "size", "", "1920x1080 (default) or 1280x720 of H.264, 640x360 of H.265 and MJPEG")
	flags.StringVar(&o.codec, "codec", "h264", "h264, h265 or mjpeg")
	flags.Float64Var(&o.fps, "fps", 0, "frames per second (default: those of --file, or 25)")
	flags.IntVar(&o.bitrate, "bitrate", 0, "bits per second, by filler; of H.264 only (default: those of the film)")
	flags.StringVar(&o.audio, "audio", "", "aac, pcmu or pcma (default: no audio)")
	flags.BoolVar(&o.mpegTS, "mpegts", false, "send video and audio as an MPEG transport stream (RTP payload type 33)")
	flags.StringVar(&o.file, "file", "", "film to play instead of the camera's own: MP4, MOV, Matroska, MPEG-TS or Annex B")
	flags.StringArrayVar(&o.oddities, "oddity", nil, "`NAME` or NAME=DURATION of a fault that the camera imitates; may be repeated")
	flags.StringVar(&o.like, "like", "", "file that says what the camera answers and which packets it sends; see --list-like")
	flags.BoolVar(&o.listLike, "list-like", false, "list what a file of --like can hold, and exit")
	flags.BoolVar(&o.listOddities, "list-oddities", false, "list the camera's oddities, and exit")
	flags.BoolVar(&o.stamps, "stamps", true, "number the frames, beside the picture and in it")
	flags.BoolVar(&o.tls, "tls", false, "rtsps:// with a certificate of its own")
	flags.BoolVar(&o.asJSON, "json", false, "print JSON, one object a line")
	cmd.AddCommand(newFakecamStampsCommand())
	return cmd
}

// runFakecam runs a camera until ctx ends.
func runFakecam(ctx context.Context, out io.Writer, o fakecamOptions) error {
	camera, timed, err := o.start()
	if err != nil {
		return &exitError{exitSettings, err}
	}
	run := &fakecamRun{camera: camera, out: out, asJSON: o.asJSON, timed: timed}
	run.announce(o)
	run.follow(ctx)
	err = camera.Close()
	run.report() // the sessions that have ended now
	return err
}

// start checks the flags and starts the camera. It returns what the camera shall do from time to time.
func (o *fakecamOptions) start() (*fakecam.Camera, []timedOddity, error) {
	options, err := o.camera()
	if err != nil {
		return nil, nil, err
	}
	timed, err := o.applyOddities(options)
	if err != nil {
		return nil, nil, err
	}
	camera, err := fakecam.Start(*options)
	if errors.Is(err, syscall.EADDRINUSE) && !o.listenGiven {
		options.Addr = "127.0.0.1:0"
		camera, err = fakecam.Start(*options)
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, nil, fmt.Errorf("another process listens on %s: choose another address with --listen", o.listen)
	}
	if err == nil && o.size == fakecamSizes["h264"][1] {
		camera.ChangeParams() // to the smaller film, before anyone watches
	}
	return camera, timed, err
}
