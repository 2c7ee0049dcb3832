use super::*;

const LGIP: &str = "\
+-----------------------------------------------------------------------------+
| GPU instance profiles:                                                      |
| GPU   Name             ID    Instances   Memory     P2P    SM    DEC   ENC  |
|                              Free/Total   GiB              CE    JPEG  OFA  |
|=============================================================================|
|   0  MIG 1g.5gb        19     7/7        4.75       No     14     0     0   |
|                                                             1     0     0   |
+-----------------------------------------------------------------------------+
|   0  MIG 1g.5gb+me     20     0/1        4.75       No     14     1     0   |
|                                                             1     1     1   |
+-----------------------------------------------------------------------------+
|   0  MIG 7g.40gb        0     1/1        39.50      No     98     5     0   |
|                                                             7     1     1   |
+-----------------------------------------------------------------------------+
";

/// An early driver's, without the media engines' line.
const LGIP_EARLY: &str = "\
| GPU   Name          ID    Instances   Memory     P2P    SM    DEC   ENC  |
|                           Free/Total   GiB              CE    JPEG  OFA  |
|   3  MIG 2g.10gb    14     3/3        9.75       No     28     1     0   |
";

const LGI: &str = "\
+-------------------------------------------------------+
| GPU instances:                                        |
| GPU   Name             Profile  Instance   Placement  |
|                          ID       ID       Start:Size |
|=======================================================|
|   0  MIG 3g.20gb          9        1          4:4     |
+-------------------------------------------------------+
|   0  MIG 1g.5gb          19       11          0:1     |
+-------------------------------------------------------+
";

const LCI: &str = "\
+--------------------------------------------------------------------+
| Compute instances:                                                 |
| GPU     GPU       Name             Profile   Instance   Placement  |
|       Instance                       ID        ID       Start:Size |
|         ID                                                         |
|====================================================================|
|   0     11       MIG 1g.5gb           0         0          0:1     |
+--------------------------------------------------------------------+
|   0      1       MIG 1c.3g.20gb       2*        3          0:1     |
+--------------------------------------------------------------------+
";

fn profile(name: &str, id: u32, (free, total): (u32, u32), memory: u64) -> GpuInstanceProfile {
    GpuInstanceProfile {
        name: name.to_owned(),
        id,
        slices: slices_of(name),
        memory_mib: Some(memory),
        free,
        total,
        placements: Vec::new(),
    }
}

#[test]
fn modes_are_read_and_what_is_none_is_none() {
    let mode_is = |supported, enabled, pending| Ok(MigMode { supported, enabled, pending });
    for (text, want) in [
        ("Enabled, Enabled\n", mode_is(true, true, None)),
        ("Disabled, Disabled", mode_is(true, false, None)),
        ("Disabled, Enabled\n", mode_is(true, false, Some(true))),
        ("Enabled, Disabled\n", mode_is(true, true, Some(false))),
        ("[N/A], [N/A]\n", mode_is(false, false, None)),
    ] {
        assert_eq!(mode(text), want, "{text:?}");
    }
    for text in ["", "Enabled", "on, on", "Enabled, Enabled\nDisabled, Disabled\n", "No devices were found\n"]
    {
        assert!(mode(text).is_err(), "{text:?}");
    }
}

#[test]
fn profiles_of_a_card_whatever_the_columns() {
    let want = vec![
        profile("1g.5gb", 19, (7, 7), 4864),
        profile("1g.5gb+me", 20, (0, 1), 4864),
        profile("7g.40gb", 0, (1, 1), 40448),
    ];
    assert_eq!(profiles(LGIP), Ok(want));
    assert_eq!(profiles(LGIP_EARLY), Ok(vec![profile("2g.10gb", 14, (3, 3), 9984)]));
}

#[test]
fn instances_by_place_with_and_without_one() {
    let found = instances(LGI).unwrap();
    let brief: Vec<(u32, &str, u32, Option<MigPlacement>)> =
        found.iter().map(|i| (i.id, i.profile.as_str(), i.profile_id, i.placement)).collect();
    let place = |start, size| Some(MigPlacement { start, size });
    assert_eq!(brief, [(11, "1g.5gb", 19, place(0, 1)), (1, "3g.20gb", 9, place(4, 4))]);
    assert_eq!(compute_instances(LCI), Ok(vec![(11, 0), (1, 3)]));
    let without = LGI.replace("4:4", "").replace("0:1", "");
    assert!(instances(&without).unwrap().iter().all(|instance| instance.placement.is_none()));
}

#[test]
fn places_of_profiles() {
    let text = "GPU  0 Profile ID 19 Placements: {0,1,2}:1\nGPU  0 Profile ID  5 Placement : {0}:4\n";
    let place = |start, size| MigPlacement { start, size };
    let want = vec![(19, vec![place(0, 1), place(1, 1), place(2, 1)]), (5, vec![place(0, 4)])];
    assert_eq!(placements(text), Ok(want));
    for text in ["GPU 0 Profile ID 19", "Profile ID x {0}:1", "Profile ID 1 {a}:1", "Profile ID 1 {0}"] {
        assert!(placements(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_row_that_is_not_understood_is_no_missing_instance() {
    for (from, to) in
        [("19       11", "19       x"), ("MIG 1g.5gb", "MIG"), ("|   0  MIG 1g", "|   1  MIG 1g")]
    {
        let text = LGI.replace(from, to);
        assert_ne!(text, LGI);
        assert!(instances(&text).is_err(), "{text}");
    }
    assert!(profiles(&LGIP.replace("7/7", "7")).is_err());
    for text in ["", "\n", "| GPU instances: |\n", "All done."] {
        assert!(instances(text).is_err() && profiles(text).is_err() && placements(text).is_err(), "{text:?}");
    }
    assert!(compute_instances(&LCI.replace("|   0     11", "|         11")).is_err());
}

#[test]
fn nothing_found_is_told_from_what_went_wrong() {
    for text in [
        "No GPU instances found: Not Found\n",
        "No compute instances found: Not Found",
        "No MIG-enabled devices found.\n",
        "No GPU instance profiles found: Not Found\n",
        "\nNo MIG-supported devices found.\n",
    ] {
        assert!(is_none_found(text), "{text:?}");
    }
    for text in ["", "No devices were found", "Insufficient Permissions", "Unknown Error", LGI] {
        assert!(!is_none_found(text), "{text:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\PC|[ |0-9:/.{}\n]|MIG |Profile ID ){0,80}") {
        let _ = (mode(&text), profiles(&text), instances(&text), compute_instances(&text));
        let _ = (placements(&text), is_none_found(&text));
    }
}
