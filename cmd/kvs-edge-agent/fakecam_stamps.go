package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
	"github.com/kvs-edge/kvs-edge-agent/internal/mediafile"
)

func newFakecamStampsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "stamps [flags] FILE…",
		Short: "Count the numbered frames of a fake camera in recorded files",
		Long: `Reads files that were recorded from a fake camera (Matroska, MP4 or MPEG-TS), all together, and prints
how many frames there are, the first and the last counter of each session with the camera, and how
many frames are missing in between or came more than once. It reads the stamps beside the pictures.

Exit code: 0 when no frame is missing and none came twice, 1 otherwise.`,
		Args: arguments(1, math.MaxInt, "name at least one recorded file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return printStamps(cmd.Context(), cmd.OutOrStdout(), args, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// stampedSession is what files hold of one session with the camera.
type stampedSession struct {
	First    uint64 `json:"first_counter"`
	Last     uint64 `json:"last_counter"`
	Frames   int    `json:"frames"` // different ones
	Missing  uint64 `json:"missing"`
	Repeated int    `json:"repeated"`
}

// stampsReport is what files hold of a fake camera.
type stampsReport struct {
	Frames   int              `json:"frames"`    // all pictures
	Unmarked int              `json:"unstamped"` // those without a stamp
	Missing  uint64           `json:"missing"`
	Repeated int              `json:"repeated"`
	Sessions []stampedSession `json:"sessions"`
}

func printStamps(ctx context.Context, out io.Writer, paths []string, asJSON bool) error {
	frames, unmarked := tally{}, 0
	for _, path := range paths {
		n, err := addStamps(ctx, frames, path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		unmarked += n
	}
	r := reportStamps(frames, unmarked)
	if asJSON {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return err
		}
	} else {
		r.write(out)
	}
	if r.Missing > 0 || r.Repeated > 0 || len(r.Sessions) == 0 {
		return &exitError{code: exitFailure}
	}
	return nil
}

// addStamps counts the frames of a file, and returns how many have no stamp.
func addStamps(ctx context.Context, frames tally, path string) (unmarked int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	media, err := mediafile.Open(file)
	if err != nil {
		return 0, err
	}
	for ctx.Err() == nil {
		frame, err := media.Next()
		switch {
		case errors.Is(err, io.EOF):
			return unmarked, nil
		case err != nil:
			return 0, err
		case frame.Audio:
			continue
		}
		if stamp, ok := stamps.OfNALUs(frame.NALUs); ok {
			frames[stampedID(stamp.Counter)]++
		} else {
			unmarked++
		}
	}
	return 0, ctx.Err()
}

// reportStamps sorts frames by session: the counters of a session share their upper 32 bits.
func reportStamps(frames tally, unmarked int) stampsReport {
	r := stampsReport{Frames: unmarked, Unmarked: unmarked, Repeated: frames.repeated()}
	sessions := make(map[uint64]*stampedSession)
	for id, count := range frames {
		s := sessions[id.counter>>32]
		if s == nil {
			s = &stampedSession{First: id.counter, Last: id.counter}
			sessions[id.counter>>32] = s
		}
		s.First, s.Last = min(s.First, id.counter), max(s.Last, id.counter)
		s.Frames++
		s.Repeated += count - 1
		r.Frames += count
	}
	for _, n := range slices.Sorted(maps.Keys(sessions)) {
		s := sessions[n]
		s.Missing = s.Last - s.First + 1 - uint64(s.Frames)
		r.Missing += s.Missing
		r.Sessions = append(r.Sessions, *s)
	}
	return r
}

func (r stampsReport) write(out io.Writer) {
	fmt.Fprintf(out, "%d frames, %d missing, %d repeated", r.Frames, r.Missing, r.Repeated)
	if r.Unmarked > 0 {
		fmt.Fprintf(out, ", %d without a stamp", r.Unmarked)
	}
	fmt.Fprintln(out)
	for i, s := range r.Sessions {
		fmt.Fprintf(out, "session %d: counters %d to %d, %d frames, %d missing, %d repeated\n",
			i+1, s.First, s.Last, s.Frames, s.Missing, s.Repeated)
	}
}
