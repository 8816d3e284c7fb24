"""Live migration: a running VM moves to another process, and is never in two places.

    source                                       target
      HELLO    version, migration, recipe  ──>     makes a blank VM
                                           <──  WELCOME, or REFUSED with a reason
      PAGES*   what was stored to, round by round,
      ROUND    while the guest runs          ──>   puts them in place, keeps them in a journal
                                             <──  ROUND
      ── the guest pauses ──
      PAGES*, STATE, DIGEST                  ──>   becomes that state, checks the digest, makes the journal durable
                                             <──  READY
      COMMIT                                 ──>
                                             <──  COMMITTED
      RELEASE  after noting that it gave up  ──>   notes that it owns, and runs
                                             <──  DONE

A cut before the source sends COMMIT leaves the source running. From there to RELEASE a cut leaves both paused and
saved, and a person names the owner (`hartvisor migrate resume`): neither side can know what the other last heard.
"""
