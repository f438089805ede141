package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

func newVerifyCommand() *cobra.Command {
	var flags storeFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Read all recordings again and report what is damaged",
		Long: `Read every frame of the recordings and report each file that is damaged, and those that recovery set aside. It
changes nothing, and works with or without a running agent.

Exit code: 0 when all is well, 1 when something is damaged.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return verifyRecordings(cmd.Context(), cmd.OutOrStdout(), &flags)
		},
	}
	flags.add(cmd)
	return cmd
}

// verifyRecordings reads what flags select, and tells what is damaged.
func verifyRecordings(ctx context.Context, out io.Writer, flags *storeFlags) error {
	store, from, to, err := flags.open()
	if err != nil {
		return err
	}
	files, fragments, damaged := 0, 0, 0
	var bytes int64
	for _, stream := range flags.streams(store) {
		for _, info := range store.Segments(stream, from, to) {
			if err := ctx.Err(); err != nil {
				return err
			}
			n, err := store.Verify(info.Key)
			if errors.Is(err, segment.ErrNotFound) {
				continue // deleted meanwhile
			}
			files++
			fragments += n
			bytes += info.Bytes
			if err != nil {
				damaged++
				fmt.Fprintf(out, "%s: damaged after %d fragments: %v\n", store.Path(info.Key), n, err)
			}
		}
	}
	aside, err := store.Quarantined()
	if err != nil {
		return err
	}
	for _, path := range aside {
		fmt.Fprintf(out, "%s: set aside as unreadable: look at it and delete it\n", path)
	}
	fmt.Fprintf(out, "%d files, %d fragments, %.1f MB read: %d damaged, %d set aside\n", files, fragments, float64(bytes)/1e6, damaged, len(aside))
	if damaged+len(aside) > 0 {
		return &exitError{code: exitFailure}
	}
	return nil
}
