"""Files that a job had removed, to make them anew, when it failed or was killed, and that nothing needs any more.

Snakemake compares contents: where a file's inputs have come out as they were, all that was made from it before still
holds, and Snakemake would never make the file again. The rule `all` asks for it, so that no result stays missing. A
file that somebody has removed by hand, to save space, is let go.
"""

from snakemake.io import IOFile


def made_from(file):
    """Return the inputs of the job that makes a file; none where no rule makes it."""
    maker = next((rule for rule in workflow.rules if rule.is_producer(file)), None)
    return map(str, maker.expand_input(maker.get_wildcards(file))[0]) if maker else []


def finished(file):
    """Return whether the job that made a file last ended well.

    What failed has no record, and what was killed a mark, or no record where the entry has cleared it. Snakemake's
    public `incomplete` says nothing of a file that is missing, so its private twin is asked.
    """
    records = workflow.persistence
    return records.metadata(IOFile(file)) is not None and not records._filter_incomplete_keys([file])


def gaps(wildcards):
    """Return the files that are missing, by no wish of anybody, although what was made from them is there."""
    files = [path.replace("<results>", RESULTS) for path in targets()]
    seen, missing = set(files), set()
    for file in files:  # grows
        there = Path(file).exists() and finished(file)
        for path in made_from(file):
            if there and not Path(path).exists() and not finished(path):
                missing.add(path)
            if path not in seen:
                seen.add(path)
                files.append(path)
    return sorted(missing)
