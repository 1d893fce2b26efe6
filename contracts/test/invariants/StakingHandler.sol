// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "../Base.sol";
import {DevelopmentCAI} from "../../src/DevelopmentCAI.sol";
import {Role} from "../../src/interfaces/INodeRegistry.sol";
import {IStaking, JAIL_FOREVER, NodeInfo} from "../../src/interfaces/IStaking.sol";
import {RewardStream} from "../../src/interfaces/IRewards.sol";

/// @notice Makes random calls that must succeed, as everybody there is, and keeps its own books.
contract StakingHandler is Base {
    uint256 internal constant NODES = 3;
    uint256 internal constant ACCOUNTS = 6; // three owners, then three voters
    uint256 internal constant EPOCH_BLOCKS = 100;

    DevelopmentCAI public immutable TOKEN;
    IStaking public staking;

    // Money that has come and gone, in wei.
    uint256 public deposited;
    uint256 public withdrawn;
    uint256 public paidIn; // funding and fees
    uint256 public claimed;
    uint256 public rewarded;
    uint256 public donated;
    uint256 public steps;

    // What must stay false.
    bool public sharePriceFell;
    bool public leafMovedUnderLock;
    bool public roseWithoutNotice;
    bool public ownerCouldLeaveFirst;
    bool public rewardExceededLoss;
    bool public earnedByWhatHasLeft;
    bool public feesWereSniped;
    bool public metadataWasFlooded;
    /// @dev By a node that has left, is jailed for good, or is not active and takes votes; 0: never.
    uint256 public tookStakeWronglyAt;

    mapping(address node => bool) public everSlashed;
    mapping(address node => bool) public everWiped;
    /// @dev Slashed, or somebody has taken back a fraction of a wei and left it to the others.
    mapping(address node => bool) public everRounded;
    /// @dev The leaf stayed behind under a lock.
    mapping(address node => bool) public stale;
    /// @dev The newest announcement of a rise, and when; 0 once it was replaced by a fall.
    mapping(address node => uint256) internal _announced;
    mapping(address node => uint256) internal _announcedAt;
    mapping(address node => mapping(address account => uint256)) public depositedBy;
    mapping(address node => mapping(address account => uint256)) public withdrawnBy;
    /// @dev What each node weighed just before an epoch began.
    mapping(address node => mapping(uint256 epoch => uint256)) public weightBefore;
    /// @dev The epoch after the last in which it was told.
    mapping(address node => uint256) internal _metadataIn;
    uint256[] public epochs;

    struct OpenRequest {
        address node;
        address account;
        uint256 id;
    }

    OpenRequest[] internal _openRequests;
    address[] internal _nodes; // deriving an address from a key is the slowest thing here

    constructor(DevelopmentCAI token) {
        TOKEN = token;
        for (uint256 i = 0; i < NODES; ++i) {
            _nodes.push(vm.addr(nodeKey(i)));
        }
    }

    function start(IStaking staking_) external {
        staking = staking_;
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            TOKEN.transfer(account(i), 50_000_000 ether);
            vm.prank(account(i));
            TOKEN.approve(address(staking), type(uint256).max);
        }
        TOKEN.transfer(escrow(), 50_000_000 ether);
        vm.prank(escrow());
        TOKEN.approve(address(staking), type(uint256).max);
        TOKEN.approve(address(staking), type(uint256).max);
        for (uint256 i = 0; i < NODES; ++i) {
            Role role = i == 0 ? Role.Coordinator : Role.Miner;
            uint256 amount = staking.minimumOwnStake(role) * 2;
            uint256 until = vm.getBlockTimestamp();
            bytes32 digest = staking.consentDigest(account(i), node(i), role, until);
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(nodeKey(i), digest);
            vm.startPrank(account(i));
            staking.stake(node(i), amount);
            staking.register(role, node(i), "", until, abi.encodePacked(r, s, v));
            vm.stopPrank();
            book(node(i), account(i), amount);
        }
    }

    struct Before {
        uint256 stake;
        uint256 shares;
        uint256 leafWeight;
        uint256 commission;
        uint256 announced;
        uint256 announcedAt;
        bool locked;
    }

    /// @dev What every step but a slash must leave as it is, or may move only one way.
    modifier step(uint256 nodeSeed, bool slashes) {
        address node_ = node(nodeSeed);
        Before memory before = look(node_);
        _;
        Before memory after_ = look(node_);
        // after.stake / after.shares < before.stake / before.shares, without dividing.
        if (!slashes && after_.stake * before.shares < before.stake * after_.shares) sharePriceFell = true;
        if (before.locked && after_.leafWeight != before.leafWeight) leafMovedUnderLock = true;
        if (after_.commission > before.commission) {
            // In this very step it may rise and be lowered again.
            bool early = vm.getBlockTimestamp() < before.announcedAt + staking.COMMISSION_NOTICE();
            if (before.announced < after_.commission || early) roseWithoutNotice = true;
        }
        bool behind = after_.leafWeight != uint256(staking.weightOf(node_)) / 1e6;
        if (!behind) stale[node_] = false;
        else if (after_.locked) stale[node_] = true;
        ++steps;
    }

    function look(address node_) internal view returns (Before memory) {
        (uint256 from, uint256 until) = staking.weightsLock();
        return Before({
            stake: staking.nodeInfo(node_).totalStake + 1,
            shares: sharesSum(node_) + 1e3,
            leafWeight: staking.leafWeight(staking.leafOf(node_)),
            commission: staking.nodeRewards(node_).commission,
            announced: _announced[node_],
            announcedAt: _announcedAt[node_],
            locked: until != 0 && vm.getBlockNumber() > from
        });
    }

    function stake(uint256 nodeSeed, uint256 amount) external step(nodeSeed, false) {
        NodeInfo memory info = staking.nodeInfo(node(nodeSeed));
        amount = amountOf(info.owner, amount);
        bool refuses = info.left || info.jailedUntil == JAIL_FOREVER;
        bytes memory call = abi.encodeCall(staking.stake, (node(nodeSeed), amount));
        if (deposit(info.owner, call, refuses)) book(node(nodeSeed), info.owner, amount);
    }

    function vote(uint256 nodeSeed, uint256 accountSeed, uint256 amount) external step(nodeSeed, false) {
        address voter = account(NODES + accountSeed % (ACCOUNTS - NODES));
        NodeInfo memory info = staking.nodeInfo(node(nodeSeed));
        amount = amountOf(voter, amount);
        bytes memory call = abi.encodeCall(staking.vote, (node(nodeSeed), amount));
        if (deposit(voter, call, !info.active)) book(node(nodeSeed), voter, amount);
    }

    /// @dev Tries, also where it must be refused.
    function deposit(address account_, bytes memory call, bool refuses) internal returns (bool accepted) {
        vm.prank(account_);
        (accepted,) = address(staking).call(call);
        if (accepted && refuses) tookStakeWronglyAt = steps + 1;
        vm.assertTrue(accepted || refuses, "an active node takes stake");
    }

    function unvote(uint256 nodeSeed, uint256 accountSeed, uint256 shares) external step(nodeSeed, false) {
        address node_ = node(nodeSeed);
        address account_ = account(accountSeed);
        // Whoever has nothing there lets its owner go first.
        if (staking.stakeOf(node_, account_) == 0) account_ = staking.ownerOf(node_);
        uint256 available = staking.sharesOf(node_, account_);
        if (staking.stakeOf(node_, account_) == 0 || openOf(node_, account_) == 32) return;
        // Less than two wei may be worth nothing when rounded down; then take everything.
        uint256 least = 2 * available / staking.stakeOf(node_, account_) + 1;
        bool wholeWei = shares % 4 != 0 && !everSlashed[node_];
        shares = least >= available ? available : bound(shares, least, available);
        // An owner leaves a little at a time, or there would soon be no node.
        if (account_ == staking.ownerOf(node_) && shares % 8 != 0) shares = shares / 1000 + least;
        if (shares > available) shares = available;
        if (wholeWei && shares > 1e3) shares -= shares % 1e3;
        if (shares % 1e3 != 0) everRounded[node_] = true;
        vm.prank(account_);
        uint256 id = staking.unvote(node_, shares);
        _openRequests.push(OpenRequest(node_, account_, id));
        if (account_ == staking.ownerOf(node_)) watchOwner(node_, account_, id);
    }

    /// @dev Below its minimum, with others there: not before those could have left.
    function watchOwner(address node_, address owner, uint256 id) internal {
        NodeInfo memory info = staking.nodeInfo(node_);
        bool alone = staking.sharesOf(node_, owner) == sharesSum(node_);
        if (alone || info.ownStake > staking.minimumOwnStake(info.role)) return;
        uint256 voters = vm.getBlockTimestamp() + staking.UNBONDING_DELAY();
        if (staking.unbonding(node_, owner, id).releaseTime <= voters) ownerCouldLeaveFirst = true;
    }

    function withdraw(uint256 seed) external step(0, false) {
        if (_openRequests.length == 0) return;
        OpenRequest memory request = _openRequests[seed % _openRequests.length];
        uint256 releaseTime = staking.unbonding(request.node, request.account, request.id).releaseTime;
        if (vm.getBlockTimestamp() < releaseTime) vm.warp(releaseTime);
        vm.prank(request.account);
        uint256 amount = staking.withdraw(request.node, request.id);
        withdrawn += amount;
        withdrawnBy[request.node][request.account] += amount;
        _openRequests[seed % _openRequests.length] = _openRequests[_openRequests.length - 1];
        _openRequests.pop();
    }

    /// @dev Every second call slashes, one in eight everything; else all would be jailed at once.
    function slash(uint256 nodeSeed, uint256 fraction, uint256 share, uint256 jailS)
        external
        step(nodeSeed, true)
    {
        if (fraction % 2 != 0) return;
        address node_ = node(nodeSeed);
        fraction = fraction % 16 == 0 ? 10_000 : bound(fraction / 2, 1, 5_000);
        NodeInfo memory before = staking.nodeInfo(node_);
        uint256 fromStake = before.totalStake * fraction / 10_000;
        uint256 fromUnbonding = before.unbondingStake * fraction / 10_000;
        uint256 taken = slashAs(slasher(jailS), node_, fraction, share, jailS);
        NodeInfo memory left = staking.nodeInfo(node_);
        vm.assertEq(left.totalStake, before.totalStake - fromStake, "the fraction of what stands");
        vm.assertEq(left.unbondingStake, before.unbondingStake - fromUnbonding, "and of what leaves");
        vm.assertEq(taken, fromStake + fromUnbonding, "taken is what is gone");
        everSlashed[node_] = true;
        everRounded[node_] = true;
        if (fraction == 10_000) everWiped[node_] = true;
    }

    /// @dev No reward is more than half of what the owner loses, but for a little.
    function slashAs(address who, address node_, uint256 fraction, uint256 share, uint256 jailS)
        internal
        returns (uint256 taken)
    {
        uint256 most = staking.nodeInfo(node_).ownStake / 2;
        if (most < 100 ether) most = 100 ether;
        uint256 reward;
        vm.prank(who);
        (taken, reward) = staking.slash(node_, fraction, bound(share, 0, 5_000), jailS % 3 * 1 days);
        if (reward > most * fraction / 10_000) rewardExceededLoss = true;
    }

    function unjail(uint256 nodeSeed) external step(nodeSeed, false) {
        NodeInfo memory info = staking.nodeInfo(node(nodeSeed));
        if (info.jailedUntil == 0 || info.jailedUntil == JAIL_FOREVER) return;
        if (vm.getBlockTimestamp() < info.jailedUntil) vm.warp(info.jailedUntil);
        vm.prank(info.owner);
        staking.unjail(node(nodeSeed));
    }

    function deregister(uint256 nodeSeed, uint256 chance) external step(nodeSeed, false) {
        NodeInfo memory info = staking.nodeInfo(node(nodeSeed));
        if (chance % 8 != 0 || info.left) return;
        vm.prank(info.owner);
        staking.deregister(node(nodeSeed));
    }

    function payReward(uint256 slasherSeed, uint256 amount) external step(0, false) {
        uint256 owed = staking.owedTo(slasher(slasherSeed));
        amount = bound(amount, 0, owed);
        vm.prank(slasher(slasherSeed));
        staking.payReward(address(0xFEE), amount);
        rewarded += amount;
    }

    function burnSlashed() external step(0, false) {
        if (staking.slashedToBurn() != 0) staking.burnSlashed();
    }

    function fundRewards(uint256 amount) external step(0, false) {
        RewardStream memory stream = staking.rewardStream();
        // Enough for a period as fast as it flows now, or a random amount.
        amount = stream.rate * 32 days + bound(amount, 1e16, 1_000_000 ether);
        if (stream.rate > 5e18 || TOKEN.balanceOf(address(this)) < amount) return;
        staking.fundRewards(amount);
        paidIn += amount;
    }

    function addFees(uint256 nodeSeed, uint256 amount) external step(nodeSeed, false) {
        amount = bound(amount, 0, amount % 3 == 0 ? 1_000 ether : 1000);
        if (TOKEN.balanceOf(escrow()) < amount) return;
        uint256 before = claimables(node(nodeSeed));
        vm.prank(escrow());
        staking.addFees(node(nodeSeed), amount);
        paidIn += amount;
        if (claimables(node(nodeSeed)) > before) feesWereSniped = true;
    }

    /// @dev Tries; once an epoch, of an active node, it may.
    function setMetadata(uint256 nodeSeed) external step(nodeSeed, false) {
        address node_ = node(nodeSeed);
        bool may = staking.nodeInfo(node_).active && _metadataIn[node_] != staking.currentEpoch() + 1;
        vm.prank(staking.ownerOf(node_));
        (bool accepted,) = address(staking).call(abi.encodeCall(staking.setMetadata, (node_, "again")));
        if (accepted != may) metadataWasFlooded = true;
        if (accepted) _metadataIn[node_] = staking.currentEpoch() + 1;
    }

    function claim(uint256 nodeSeed, uint256 accountSeed) external step(nodeSeed, false) {
        address account_ = account(accountSeed);
        uint256 expected = staking.claimable(node(nodeSeed), account_);
        if (expected == 0) return;
        vm.prank(account_);
        uint256 amount = staking.claim(node(nodeSeed));
        vm.assertEq(amount, expected, "claimable is what is paid");
        vm.assertEq(staking.claimable(node(nodeSeed), account_), 0, "and it is paid once");
        claimed += amount;
    }

    function announceCommission(uint256 nodeSeed, uint256 basisPoints) external step(nodeSeed, false) {
        basisPoints = bound(basisPoints, 0, 5_000);
        address node_ = node(nodeSeed);
        vm.prank(staking.ownerOf(node_));
        staking.announceCommission(node_, basisPoints);
        bool rises = basisPoints > staking.nodeRewards(node_).commission;
        _announced[node_] = rises ? basisPoints : 0;
        _announcedAt[node_] = vm.getBlockTimestamp();
    }

    function lockWeights(uint256 seed) external step(0, false) {
        (uint256 from, uint256 until) = staking.weightsLock();
        if (until != 0 && vm.getBlockNumber() + 300 > from + 7_200) return;
        vm.prank(disputes());
        if (seed % 3 == 0) staking.unlockWeights();
        else staking.lockWeights(vm.getBlockNumber() + seed % 50);
    }

    function syncLeaf(uint256 nodeSeed) external step(nodeSeed, false) {
        (uint256 from, uint256 until) = staking.weightsLock();
        if (until != 0 && vm.getBlockNumber() > from) return;
        staking.syncLeaf(node(nodeSeed));
        stale[node(nodeSeed)] = false;
    }

    /// @dev Time and blocks pass; at the end of an epoch the books say what everybody weighs.
    function pass(uint256 blocks, uint256 seconds_) external {
        watchIncome(bound(seconds_, 1, 3 days));
        uint256 next = vm.getBlockNumber() + bound(blocks, 1, EPOCH_BLOCKS);
        uint256 epoch = next / EPOCH_BLOCKS;
        if (epoch != staking.currentEpoch()) {
            epochs.push(epoch);
            for (uint256 i = 0; i < NODES; ++i) {
                weightBefore[node(i)][epoch] = staking.weightOf(node(i));
            }
        }
        vm.roll(next);
    }

    /// @dev Time passes. By the stream no node earns more than by what is staked there.
    function watchIncome(uint256 seconds_) internal {
        uint256[NODES] memory before;
        for (uint256 i = 0; i < NODES; ++i) {
            before[i] = earned(node(i));
        }
        uint256 rate = staking.rewardStream().rate;
        vm.warp(vm.getBlockTimestamp() + seconds_);
        for (uint256 i = 0; i < NODES; ++i) {
            // Of the weight of all leaves, nobody's part is more than by its own stake in whole CAI.
            uint256 weight = uint256(staking.weightOf(node(i))) / 1e6;
            uint256 total = staking.totalWeight();
            uint256 most = total == 0 ? 0 : rate * seconds_ * weight / total;
            if (earned(node(i)) > before[i] + most + 1e9) earnedByWhatHasLeft = true;
        }
    }

    /// @dev What everybody may claim there, with the fees that have not flowed.
    function earned(address node_) internal view returns (uint256 sum) {
        sum = staking.nodeRewards(node_).fees + claimables(node_);
    }

    /// @dev What everybody may claim there now.
    function claimables(address node_) internal view returns (uint256 sum) {
        for (uint256 j = 0; j < ACCOUNTS; ++j) {
            sum += staking.claimable(node_, account(j)) - staking.claimable(address(1), account(j));
        }
    }

    /// @dev Tokens sent without a call belong to nobody and must change nothing.
    function donate(uint256 amount) external step(0, false) {
        amount = bound(amount, 1, 1 ether);
        TOKEN.transfer(address(staking), amount);
        donated += amount;
    }

    function book(address node_, address account_, uint256 amount) internal {
        deposited += amount;
        depositedBy[node_][account_] += amount;
    }

    /// @dev Usually dust, sometimes a lot: rounding hides in dust.
    function amountOf(address account_, uint256 amount) internal view returns (uint256) {
        uint256 balance = TOKEN.balanceOf(account_);
        return bound(amount, 1, amount % 3 == 0 && balance > 1 ? balance / 2 : 1000);
    }

    function sharesSum(address node_) public view returns (uint256 sum) {
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            sum += staking.sharesOf(node_, account(i));
        }
    }

    /// @dev By number of the account.
    function unbondingOf(address node_) public view returns (uint256[] memory sums) {
        sums = new uint256[](ACCOUNTS);
        for (uint256 i = 0; i < _openRequests.length; ++i) {
            OpenRequest memory request = _openRequests[i];
            if (request.node != node_) continue;
            uint256 amount = staking.unbonding(node_, request.account, request.id).amount;
            sums[uint160(request.account) - 0xACC0000] += amount;
        }
    }

    function openOf(address node_, address account_) internal view returns (uint256 count) {
        for (uint256 i = 0; i < _openRequests.length; ++i) {
            if (_openRequests[i].node == node_ && _openRequests[i].account == account_) ++count;
        }
    }

    function nodeKey(uint256 seed) internal pure returns (uint256) {
        return 0xC0FFEE + seed % NODES;
    }

    function node(uint256 seed) public view returns (address) {
        return _nodes[seed % NODES];
    }

    function account(uint256 seed) public pure returns (address) {
        return address(uint160(0xACC0000 + seed % ACCOUNTS));
    }

    function disputes() public pure returns (address) {
        return address(0xD15);
    }

    function escrow() public pure returns (address) {
        return address(0xE5C);
    }

    function slasher(uint256 seed) public view returns (address) {
        if (seed % 3 == 0) return disputes();
        return seed % 3 == 1 ? escrow() : address(this);
    }

    function epochCount() external view returns (uint256) {
        return epochs.length;
    }

    function nodes() external pure returns (uint256) {
        return NODES;
    }

    function accounts() external pure returns (uint256) {
        return ACCOUNTS;
    }
}
