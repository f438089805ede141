package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

func newVerifyCommand() *cobra.Command {
	var flags storeFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Read all recordings again and report what is damaged",
		Long: `Read every frame of the recordings and report each file whose structure is damaged, and those that recovery set
aside. It changes nothing, and works with or without a running agent.

Exit code: 0 when all is well, 1 when something is damaged.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return verifyRecordings(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), &flags)
		},
	}
	flags.add(cmd)
	return cmd
}

// verification counts what was read.
type verification struct {
	out                       io.Writer
	files, fragments, damaged int
	bytes                     int64
}

// verifyRecordings reads what flags select, and reports what is damaged.
func verifyRecordings(ctx context.Context, out, problems io.Writer, flags *storeFlags) error {
	store, from, to, err := flags.open()
	if err != nil {
		return err
	}
	var total, done int64
	var list []segment.Info
	for _, stream := range flags.streams(store) {
		for _, info := range store.Segments(stream, from, to) {
			list = append(list, info)
			total += info.Bytes
		}
	}
	bar := newProgress(problems, "verifying")
	defer bar.end()
	v := verification{out: out}
	for _, info := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if text := v.read(store, info); text != "" {
			bar.end()
			fmt.Fprintln(out, shownName(text))
		}
		done += info.Bytes
		bar.show(done, total)
	}
	bar.end()
	return v.sumUp(store)
}

// read verifies one file and returns the sentence when it is damaged.
func (v *verification) read(store *segment.Store, info segment.Info) string {
	n, err := store.Verify(info.Key)
	if errors.Is(err, segment.ErrNotFound) {
		return "" // deleted meanwhile
	}
	v.files++
	v.fragments += n
	v.bytes += info.Bytes
	if err == nil {
		return ""
	}
	v.damaged++
	return fmt.Sprintf("%s: damaged after %s: %v", store.Path(info.Key), humanize.Count(n, "fragment"), err)
}

func (v *verification) sumUp(store *segment.Store) error {
	aside, err := store.Quarantined()
	if err != nil {
		return err
	}
	for _, path := range aside {
		fmt.Fprintf(v.out, "%s: set aside as unreadable: look at it and delete it\n", shownName(path))
	}
	fmt.Fprintf(v.out, "%s, %s, %s read: %d damaged, %d set aside\n", humanize.Count(v.files, "file"), humanize.Count(v.fragments, "fragment"),
		humanize.Bytes(v.bytes), v.damaged, len(aside))
	if v.damaged+len(aside) > 0 {
		return &exitError{code: exitFailure}
	}
	return nil
}
