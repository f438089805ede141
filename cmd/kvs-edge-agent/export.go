package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

func newExportCommand() *cobra.Command {
	var flags storeFlags
	cmd := &cobra.Command{
		Use:   "export --stream NAME [--from TIME] [--to TIME] out.mkv",
		Short: "Export a time range of a stream to one file that any player can seek in",
		Long: `Export a time range of a stream to one Matroska file, without re-encoding. It is cut at fragments, so it starts and
ends up to one group of pictures outside the times given. The file gets its name when it is complete. With - instead of a
file the media is written to the standard output. It only reads the recordings, one segment at a time, and works with or
without a running agent; media that is deleted before it is copied is reported.

Exit code: 0 when everything was exported, 1 when a recording is damaged or was deleted meanwhile, or something failed, 2 for wrong
arguments.`,
		Example: `  kvs-edge-agent export --stream front-door --from '2026-11-21 04:20' --to '2026-11-21 04:30' out.mkv
  kvs-edge-agent export --stream front-door --last 10m - | ffplay -`,
		Args: arguments(1, 1, "name one file to export to"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.stream == "" {
				return &exitError{exitSettings, errors.New("name the stream to export with --stream")}
			}
			if err := checkOutput(args[0]); err != nil {
				return err
			}
			recordings, err := flags.open(cmd.Context())
			if err != nil {
				return err
			}
			defer recordings.close()
			if toStandardOutput(args[0]) {
				return exportToPipe(cmd, recordings)
			}
			return exportToFile(cmd, recordings, args[0])
		},
	}
	flags.add(cmd)
	cmd.Flags().Lookup("stream").Usage = "the stream"
	return cmd
}

func toStandardOutput(name string) bool { return name == "-" || name == "/dev/stdout" }

// checkOutput refuses names under which no export should stand.
func checkOutput(name string) error {
	if toStandardOutput(name) {
		return nil
	}
	switch extension := strings.ToLower(filepath.Ext(name)); extension {
	case ".mp4", ".m4v", ".mov", ".avi", ".ts", ".webm", ".mpg", ".mpeg":
		return &exitError{exitSettings, fmt.Errorf("exports are Matroska only: name the file .mkv in place of %s", extension)}
	}
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return &exitError{exitSettings, fmt.Errorf("%s is a directory: name a file in it, such as %s", name, filepath.Join(name, "out.mkv"))}
	case err == nil:
		return fmt.Errorf("%s exists: delete it, or name another file", name)
	}
	return nil
}

// exportToFile exports beside the file, and renames the export once it is complete.
func exportToFile(cmd *cobra.Command, r recordings, name string) error {
	out, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*.part")
	if err != nil {
		return fmt.Errorf("cannot create a file in %s: %w", filepath.Dir(name), cause(err))
	}
	temporary := out.Name()
	defer func() { _ = os.Remove(temporary) }() // half an export is none; a complete one has another name by then
	exported, err := runExport(cmd.Context(), cmd.ErrOrStderr(), r, out)
	if err = errors.Join(err, out.Chmod(0o640), out.Close()); err != nil {
		return err
	}
	// Not over a file that came meanwhile.
	err = unix.Renameat2(unix.AT_FDCWD, temporary, unix.AT_FDCWD, name, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // not every file system knows how
		err = os.Rename(temporary, name)
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists by now: delete it, or name another file", name)
	}
	if err != nil {
		return fmt.Errorf("cannot give the export its name %s: %w", name, cause(err))
	}
	return reportExport(cmd.OutOrStdout(), name, exported)
}

// exportToPipe exports to the standard output, and says so on the other one.
func exportToPipe(cmd *cobra.Command, r recordings) error {
	if terminalOf(cmd.OutOrStdout()).present {
		return &exitError{exitSettings, errors.New("the standard output is a terminal, which shows no media: " +
			"pipe it into a program, or name a file")}
	}
	exported, err := runExport(cmd.Context(), cmd.ErrOrStderr(), r, pipeFile{cmd.OutOrStdout()})
	if err != nil {
		return err
	}
	return reportExport(cmd.ErrOrStderr(), "standard output", exported)
}

// pipeFile is a file in which nothing is written again. What a complete file gets at last, its length and the
// place of its index, players do without.
type pipeFile struct{ io.Writer }

// WriteAt implements io.WriterAt.
func (pipeFile) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

func runExport(ctx context.Context, out io.Writer, r recordings, file mkv.File) (localapi.Media, error) {
	bar := newProgress(out, "exporting")
	defer bar.end()
	return r.Media(ctx, r.span, file, bar.show)
}

// cause is an error of the file system without the path that the sentence names already.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func reportExport(w io.Writer, name string, e localapi.Media) error {
	_, err := fmt.Fprintf(w, "%s: %s to %s, %s, %s, %s\n", shownName(name), humanize.Millis(e.From.Local()), humanize.Millis(e.To.Local()),
		humanize.Length(e.To.Sub(e.From)), humanize.Count(e.Fragments, "fragment"), humanize.Bytes(e.Bytes))
	incomplete := len(e.Damaged) > 0
	for _, g := range e.Gaps {
		text := "nothing was recorded from %s to %s (%s)\n"
		if g.Deleted {
			text, incomplete = "what was recorded from %s to %s (%s) was deleted before it could be exported\n", true
		}
		_, err = fmt.Fprintf(w, text, humanize.Millis(g.From.Local()), humanize.Millis(g.To.Local()), humanize.Length(g.To.Sub(g.From)))
	}
	for _, d := range e.Damaged {
		_, err = fmt.Fprintf(w, "%s is damaged: what was recorded from %s to %s is not in the export\n", shownName(d.Path),
			humanize.Millis(d.From.Local()), humanize.Millis(d.To.Local()))
	}
	if e.More {
		_, err = fmt.Fprintln(w, "there are more gaps, or more damaged recordings, than these")
	}
	if err == nil && incomplete {
		return &exitError{code: exitFailure}
	}
	return err
}
