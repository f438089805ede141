package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

func newVerifyCommand() *cobra.Command {
	var flags storeFlags
	var asJSON bool
	var archive evidenceFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Read all recordings again and report what is damaged",
		Long: `Read every byte of the recordings and report each damaged file, with the times of the damaged media, and the files that
recovery moved to quarantine. Each fragment has a checksum, except those of earlier versions: these are counted, and damage
in them is found only where it breaks the structure or left zeros. It changes nothing, and works with or without a running
agent.

With --evidence it verifies an archive that export --evidence wrote instead, anywhere and without an agent: that no bit of it
was changed, and that the key of a certificate signed it. Say with --certificate, --ca or --fingerprint whose signature is
accepted.

Exit code: 0 when all is well, 1 when something is damaged, 3 when evidence is intact and nobody said who may have signed it.`,
		Example: `  kvs-edge-agent verify --stream front-door --last 24h
  kvs-edge-agent verify --evidence door.zip --certificate hub.pem`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := archive.check(cmd); err != nil {
				return err
			}
			if archive.file != "" {
				return archive.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), asJSON)
			}
			v := verification{}
			if !asJSON {
				v.out = cmd.OutOrStdout()
			}
			if err := v.run(cmd.Context(), cmd.ErrOrStderr(), &flags); err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				if err := encoder.Encode(v); err != nil {
					return err
				}
			}
			if v.DamagedFiles+len(v.SetAside) > 0 {
				return &exitError{code: exitFailure}
			}
			return nil
		},
	}
	flags.add(cmd)
	archive.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON when all is read")
	return cmd
}

// verification is what was read, as --json prints it.
type verification struct {
	out          io.Writer      // nil: nothing is printed
	Files        int            `json:"files"`
	Fragments    int            `json:"fragments"`
	NoChecksum   int            `json:"fragmentsWithoutChecksum"` // recorded by an earlier version; they are not damaged
	Bytes        int64          `json:"bytes"`
	DamagedFiles int            `json:"damagedFiles"`
	Damage       []damagedMedia `json:"damage"`
	SetAside     []string       `json:"setAside"` // files in quarantine/
}

// damagedMedia is what is wrong with a file.
type damagedMedia struct {
	Stream string `json:"stream"`
	Path   string `json:"path"`
	// From and To are missing when the file itself is damaged, and not, or not only, media in it.
	From  *time.Time `json:"from,omitempty"`
	To    *time.Time `json:"to,omitempty"`
	Error string     `json:"error"`
}

func (d damagedMedia) String() string {
	if d.From == nil {
		return fmt.Sprintf("%s: damaged: %s", d.Path, d.Error)
	}
	return fmt.Sprintf("%s: damaged from %s to %s: %s", d.Path, d.From.Local().Format(time.RFC3339), d.To.Local().Format(time.RFC3339),
		d.Error)
}

// run reads what flags select, and prints what is damaged.
func (v *verification) run(ctx context.Context, problems io.Writer, flags *storeFlags) error {
	recordings, err := flags.open(ctx)
	if err != nil {
		return err
	}
	defer recordings.close()
	bar := newProgress(problems, "verifying")
	defer bar.end()
	v.Damage, v.SetAside = []damagedMedia{}, []string{}
	last, err := recordings.Verify(ctx, recordings.span, func(line localapi.Verification) {
		if len(line.Damage) > 0 {
			bar.end()
		}
		v.add(line)
		bar.show(line.DoneBytes, line.TotalBytes)
	})
	if err != nil {
		return err
	}
	bar.end()
	v.sumUp(last.SetAside)
	return nil
}

func (v *verification) print(format string, args ...any) {
	if v.out != nil {
		fmt.Fprintf(v.out, format, args...)
	}
}

// add takes in what was read of a file.
func (v *verification) add(line localapi.Verification) {
	v.Files++
	v.Fragments += line.Fragments
	v.NoChecksum += line.NoChecksum
	v.Bytes += line.Bytes
	if len(line.Damage) > 0 {
		v.DamagedFiles++
	}
	for _, d := range line.Damage {
		found := damagedMedia{line.Stream, line.Path, d.From, d.To, d.Error}
		v.Damage = append(v.Damage, found)
		v.print("%s\n", shownName(found.String()))
	}
}

func (v *verification) sumUp(quarantined []string) {
	for _, path := range quarantined {
		v.SetAside = append(v.SetAside, path)
		v.print("%s: set aside as unreadable: look at it and delete it\n", shownName(path))
	}
	if v.NoChecksum > 0 {
		v.print("%s without a checksum, as earlier versions recorded them\n", humanize.Count(v.NoChecksum, "fragment"))
	}
	v.print("%s, %s, %s read: %d damaged, %d set aside\n", humanize.Count(v.Files, "file"), humanize.Count(v.Fragments, "fragment"),
		humanize.Bytes(v.Bytes), v.DamagedFiles, len(quarantined))
}
